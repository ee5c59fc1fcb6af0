/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Physical Presence Interface: its page, what firmware is told, and the wipe
 * of the memory
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "../common/fw-cfg-file.h"
#include "tpm-machine.h"

#define CONFIG "etc/tpm/config"
#define MOVV 0x15a
#define PC_PPI 0xfed45000ull
#define RAM (tpm_on_arm() ? 0x48000000ull : 0x4000000ull)
#define PATTERN 0x1122334455667788ull

static const char *machine(void)
{
    return tpm_on_arm() ? "-machine virt -cpu max -m 256"
                        : "-machine q35 -m 256";
}

static TpmMachine *start(const char *device)
{
    return tpm_machine_start(TPM_VERSION_2_0, machine(), device);
}

static bool ppi_of(TpmMachine *m)
{
    QDict *answer;
    bool ppi;

    answer = qtest_qmp(m->qts, "{ 'execute': 'qom-get', 'arguments': {"
                       " 'path': '/machine/peripheral-anon/device[0]',"
                       " 'property': 'ppi' } }");
    g_assert_true(qdict_haskey(answer, "return"));
    ppi = qdict_get_bool(answer, "return");
    qobject_unref(answer);
    return ppi;
}

/* Returns: the page's address as firmware learns it, 0: not told */
static uint64_t told(TpmMachine *m)
{
    GByteArray *config = fw_cfg_file(m->qts, CONFIG);
    uint64_t address;

    if (!config) {
        return 0;
    }
    g_assert_cmpuint(config->len, ==, 6);
    g_assert_cmpuint(config->data[4], ==, 2);   /* TPM 2.0 */
    g_assert_cmpuint(config->data[5], ==, 1);   /* PPI 1.3 */
    address = (uint32_t)ldl_le_p(config->data);
    g_byte_array_unref(config);
    return address;
}

static void assert_matrix(const char *device, bool standard)
{
    static const char *const words[] = { "", ",ppi=on", ",ppi=off" };
    const bool expected[] = { standard, true, false };
    int i;

    for (i = 0; i < 3; i++) {
        g_autofree char *all = g_strdup_printf("%s,%%s%s", device, words[i]);
        TpmMachine *m = start(all);

        g_assert_cmpint(ppi_of(m), ==, expected[i]);
        g_assert_cmpint(told(m) != 0, ==, expected[i]);
        if (!tpm_on_arm() && expected[i]) {
            g_assert_cmphex(told(m), ==, PC_PPI);
        }
        tpm_machine_stop(m);
    }
}

static void test_property(void)
{
    if (tpm_on_arm()) {
        assert_matrix("tpm-tis-device", false);
    } else {
        assert_matrix("tpm-tis", true);
        assert_matrix("tpm-crb", true);
    }
}

static void test_property_crb(void)
{
    assert_matrix("tpm-crb-device", false);
}

static const char *with_ppi(void)
{
    return tpm_on_arm() ? "tpm-tis-device,%s,ppi=on" : "tpm-tis,%s";
}

static void fill(TpmMachine *m, uint64_t page)
{
    uint64_t at;

    for (at = 0; at < 0x400; at += 8) {
        qtest_writeq(m->qts, page + at, PATTERN + at);
    }
    qtest_writeb(m->qts, page + MOVV, 0);
}

static void assert_filled(TpmMachine *m, uint64_t page, uint8_t movv)
{
    uint64_t at;

    g_assert_cmphex(qtest_readb(m->qts, page + MOVV), ==, movv);
    for (at = 0; at < 0x400; at += 8) {
        if (at != ROUND_DOWN(MOVV, 8)) {
            g_assert_cmphex(qtest_readq(m->qts, page + at), ==, PATTERN + at);
        }
    }
}

/* Zero at power-on, and kept over a reset that wipes nothing */
static void test_page(void)
{
    TpmMachine *m = start(with_ppi());
    uint64_t page = told(m), at;

    g_assert_cmphex(page, !=, 0);
    for (at = 0; at < 0x400; at += 8) {
        g_assert_cmphex(qtest_readq(m->qts, page + at), ==, 0);
    }
    fill(m, page);
    qtest_writeq(m->qts, RAM, PATTERN);
    qtest_system_reset(m->qts);
    assert_filled(m, page, 0);
    g_assert_cmphex(qtest_readq(m->qts, RAM), ==, PATTERN);
    tpm_machine_stop(m);
}

static void assert_wiped(const char *device)
{
    TpmMachine *m = start(device);
    uint64_t page = told(m), end = RAM + (64 << 20) - 8;

    fill(m, page);
    qtest_writeq(m->qts, RAM, PATTERN);
    qtest_writeq(m->qts, end, PATTERN);
    qtest_writeb(m->qts, page + MOVV, 1);
    g_assert_cmphex(qtest_readq(m->qts, RAM), ==, PATTERN);
    qtest_system_reset(m->qts);
    g_assert_cmphex(qtest_readq(m->qts, RAM), ==, 0);
    g_assert_cmphex(qtest_readq(m->qts, end), ==, 0);
    /* The wish stays until the OS takes it back: firmware does not here */
    assert_filled(m, page, 1);
    qtest_writeb(m->qts, page + MOVV, 0);
    qtest_writeq(m->qts, RAM, PATTERN);
    qtest_system_reset(m->qts);
    g_assert_cmphex(qtest_readq(m->qts, RAM), ==, PATTERN);
    tpm_machine_stop(m);
}

static void test_wipe(void)
{
    assert_wiped(with_ppi());
}

static void test_wipe_crb(void)
{
    assert_wiped("tpm-crb-device,%s,ppi=on");
}

/* Memory that keeps what it has, and such that cannot be written */
typedef struct Kept {
    const char *backend;    /* options of memory-backend-file */
    const char *device;
} Kept;

#define DIMM_SIZE (128 << 20)

static const Kept kept[] = {
    { "share=on", "nvdimm,memdev=mem0" },
    { "share=on,readonly=on", "nvdimm,memdev=mem0,unarmed=on" },
    { "share=off,readonly=on,rom=on", "nvdimm,memdev=mem0,unarmed=on" },
    { "share=on", "virtio-pmem-pci,memdev=mem0" },
    { "share=off,readonly=on", "pc-dimm,memdev=mem0" },
};

static char *pattern_file(void)
{
    char *name = NULL;
    int fd = g_file_open_tmp("tpm-ppi.XXXXXX", &name, NULL);
    uint64_t pattern = PATTERN;

    g_assert_cmpint(ftruncate(fd, DIMM_SIZE), ==, 0);
    g_assert_cmpint(pwrite(fd, &pattern, 8, 0), ==, 8);
    g_assert_cmpint(pwrite(fd, &pattern, 8, DIMM_SIZE - 8), ==, 8);
    close(fd);
    return name;
}

static void assert_pattern(const char *name)
{
    uint64_t first = 0, last = 0;
    int fd = open(name, O_RDONLY);

    g_assert_cmpint(pread(fd, &first, 8, 0), ==, 8);
    g_assert_cmpint(pread(fd, &last, 8, DIMM_SIZE - 8), ==, 8);
    close(fd);
    g_assert_cmphex(first, ==, PATTERN);
    g_assert_cmphex(last, ==, PATTERN);
}

/* The wipe passes it by, and does the rest */
static void keep(const Kept *k)
{
    g_autofree char *file = pattern_file();
    g_autofree char *options = g_strdup_printf(
        "-machine %s,nvdimm=on -m 256M,slots=2,maxmem=1G %s "
        "-object memory-backend-file,id=mem0,size=%d,mem-path=%s,%s "
        "-device %s",
        tpm_on_arm() ? "virt" : "q35", tpm_on_arm() ? "-cpu max" : "",
        DIMM_SIZE, file, k->backend, k->device);
    TpmMachine *m;
    uint64_t page;

    g_test_message("%s, %s", k->device, k->backend);
    m = tpm_machine_start(TPM_VERSION_2_0, options, with_ppi());
    page = told(m);
    qtest_writeq(m->qts, RAM, PATTERN);
    qtest_writeb(m->qts, page + MOVV, 1);
    qtest_system_reset(m->qts);
    g_assert_cmphex(qtest_readq(m->qts, RAM), ==, 0);
    tpm_machine_stop(m);
    assert_pattern(file);
    unlink(file);
}

static void test_kept(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(kept); i++) {
        keep(&kept[i]);
    }
}

/* What is loaded at a reset is there after the wipe: on Arm the device tree */
static void test_blobs(void)
{
    TpmMachine *m = start(with_ppi());
    const uint64_t dtb = 0x40000000;
    uint64_t page = told(m), first = qtest_readq(m->qts, dtb);

    g_assert_cmphex(first, !=, 0);
    qtest_writeb(m->qts, page + MOVV, 1);
    qtest_writeq(m->qts, dtb, 0);
    qtest_system_reset(m->qts);
    g_assert_cmphex(qtest_readq(m->qts, dtb), ==, first);
    tpm_machine_stop(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("tpm-ppi/property", test_property);
    qtest_add_func("tpm-ppi/page", test_page);
    qtest_add_func("tpm-ppi/wipe", test_wipe);
    if (!tpm_on_arm()) {
        /* Without firmware, virt has no slots for DIMMs; the wipe is one */
        qtest_add_func("tpm-ppi/kept", test_kept);
    }
    if (tpm_on_arm()) {
        qtest_add_func("tpm-ppi/blobs", test_blobs);
    }
    if (qtest_has_device("tpm-crb-device")) {
        qtest_add_func("tpm-ppi/property-crb", test_property_crb);
        qtest_add_func("tpm-ppi/wipe-crb", test_wipe_crb);
    }
    return g_test_run();
}
