/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * MSI-X of vfio-pci as the guest sees it: where table and PBA are, that
 * vectors fire, and that devices come and go, whatever x-msix-relocation says
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "vfio-check.h"
#include "vfio-query.h"
#include "vfio-run.h"

#define ADDRESS         VFIO_RUN_ADDRESS
#define OTHER           "0000:02:00.0"
#define PATTERN         0xfeedf00d
/* In a PBA of 22 vectors: the bits that are none */
#define PBA_PATTERN     0xffc00000

/* Table and PBA in pages of their own */
#define NVME            " bar0=16K,mem64 msix=22 table=0:0x2000 pba=0:0x3000 "

static void assert_area(VfioArea area, unsigned bar, uint32_t offset)
{
    g_assert_cmpuint(area.bar, ==, bar);
    g_assert_cmphex(area.offset, ==, offset);
}

typedef struct Case {
    const char *name;
    const char *device;         /* without the address */
    const char *options;
    unsigned bar;               /* that table and PBA are in */
    uint64_t size;              /* of that BAR */
    bool mem64;
    bool prefetch;
    uint32_t table;
    uint32_t pba;
} Case;

/* With pages of 4 KiB */
static const Case cases[] = {
    { "off/own-pages", NVME, "", 0, 16 * KiB, true, false, 0x2000, 0x3000 },
    { "off/one-page", " bar0=16K,mem64 msix=129 table=0:0x2000 pba=0:0x2900 ",
      ",x-msix-relocation=off", 0, 16 * KiB, true, false, 0x2000, 0x2900 },
    { "off/other-bar",
      " bar0=16K,mem64 bar4=32K msix=2048 table=4:0 pba=0:0x3000 ", "", 4,
      32 * KiB, false, false, 0, 0x3000 },
    { "bar2/64-bit-pair", NVME, ",x-msix-relocation=bar2", 2, 4 * KiB, true,
      true, 0, 352 },
    { "bar5/32-bit", NVME, ",x-msix-relocation=bar5", 5, 4 * KiB, false, true,
      0, 352 },
    { "bar2/overlap",
      " bar0=16K,mem64 msix=22 table=0:0x2000 pba=0:0x2100 ",
      ",x-msix-relocation=bar2", 2, 4 * KiB, true, true, 0, 352 },
    { "bar0/extended", NVME, ",x-msix-relocation=bar0", 0, 32 * KiB, true,
      false, 16 * KiB, 16 * KiB + 352 },
    { "bar4/extended",
      " bar0=16K,mem64 bar4=256 msix=2048 table=0:0 pba=4:0 ",
      ",x-msix-relocation=bar4", 4, 128 * KiB, false, false, 64 * KiB,
      96 * KiB },
    { "bar2/one-vector", " bar0=4K msix=1 table=0:0x800 pba=0:0x808 ",
      ",x-msix-relocation=bar2", 2, 4 * KiB, true, true, 0, 16 },
    { "bar2/2048-vectors",
      " bar0=64K msix=2048 table=0:0x1000 pba=0:0xa000 ",
      ",x-msix-relocation=bar2", 2, 64 * KiB, true, true, 0, 32 * KiB },
};

/* The host sees what the guest writes elsewhere in the BARs, and only that */
static void check_registers(VfioHost *host, VfioDevice *dev)
{
    vfio_host_write(host, ADDRESS, 0, 0x10, PATTERN);
    g_assert_cmphex(vfio_device_read(dev, 0, 0x10), ==, PATTERN);
    vfio_device_write(dev, 0, 0x14, ~PATTERN);
    g_assert_cmphex(vfio_host_read(host, ADDRESS, 0, 0x14), ==,
                    (uint32_t)~PATTERN);
}

static void check_table(VfioDevice *dev)
{
    unsigned n = dev->vectors - 1;
    uint64_t entry = dev->table.offset + n * PCI_MSIX_ENTRY_SIZE;

    vfio_device_set_vector(dev, n, 0x123456789abcdef0, PATTERN);
    g_assert_cmphex(vfio_device_read(dev, dev->table.bar, entry), ==,
                    0x9abcdef0);
    g_assert_cmphex(vfio_device_read(dev, dev->table.bar, entry + 4), ==,
                    0x12345678);
    g_assert_cmphex(vfio_device_read(dev, dev->table.bar, entry + 8), ==,
                    PATTERN);
}

static void test_case(const void *data)
{
    const Case *c = data;
    g_autofree char *devices = g_strdup_printf("page-size=4K\n" ADDRESS "%s",
                                               c->device);
    VfioDevice *dev;
    VfioRun run;

    if (!vfio_run_device(&run, devices, c->options)) {
        return;
    }
    dev = run.dev;
    assert_area(dev->table, c->bar, c->table);
    g_assert_cmphex(dev->pba.offset, ==, c->pba);
    g_assert_cmphex(dev->bar[c->bar].size, ==, c->size);
    g_assert_cmpint(dev->bar[c->bar].mem64, ==, c->mem64);
    g_assert_cmpint(dev->bar[c->bar].prefetch, ==, c->prefetch);
    check_table(dev);
    if (dev->table.bar != 0 || dev->table.offset >= 0x1000) {
        check_registers(run.host, dev);
    }
    vfio_check_vectors(run.host, ADDRESS, dev);
    vfio_run_end(&run);
}

/* Until a masked vector fires the guest reads the device's own, as in stock */
static void test_pba_off(void)
{
    VfioRun run;

    if (!vfio_run_device(&run, ADDRESS NVME, "")) {
        return;
    }
    vfio_host_write(run.host, ADDRESS, 0, 0x3000, PBA_PATTERN);
    g_assert_cmphex(vfio_device_read(run.dev, 0, 0x3000), ==, PBA_PATTERN);
    vfio_check_vectors(run.host, ADDRESS, run.dev);
    g_assert_cmphex(vfio_host_read(run.host, ADDRESS, 0, 0x3000), ==,
                    PBA_PATTERN);
    vfio_run_end(&run);
}

/* The PBA is there from the start, and does not show the device's own */
static void test_pba_relocated(void)
{
    VfioDevice *dev;
    uint64_t place;
    VfioRun run;

    if (!vfio_run_device(&run, "page-size=4K\n" ADDRESS NVME,
                         ",x-msix-relocation=bar0")) {
        return;
    }
    dev = run.dev;
    place = dev->bar[0].address + dev->pba.offset;
    vfio_host_write(run.host, ADDRESS, 0, 0x3000, PBA_PATTERN);
    assert_area(dev->pba, 0, 16 * KiB + 352);
    /* Reading zeros alone does not tell it from nothing */
    g_assert_true(vfio_mapped(run.qts, "msix-pba", place, 8));
    g_assert_cmphex(vfio_device_read(dev, 0, dev->pba.offset), ==, 0);
    vfio_check_vectors(run.host, ADDRESS, dev);
    g_assert_cmphex(vfio_device_read(dev, 0, dev->pba.offset), ==, 0);
    g_assert_true(vfio_mapped(run.qts, "msix-pba", place, 8));
    vfio_run_end(&run);
}

static void test_two_devices(void)
{
    VfioDevice *one, *two;
    VfioRun run;

    if (!vfio_run_device(&run, ADDRESS NVME "\n" OTHER NVME,
                         ",x-msix-relocation=bar2 "
                         "-device vfio-pci,host=" OTHER ",addr=6")) {
        return;
    }
    one = run.dev;
    two = vfio_device_new(run.qts, 0, PCI_DEVFN(6, 0));
    assert_area(one->table, 2, 0);
    assert_area(two->table, 0, 0x2000);
    vfio_check_vectors(run.host, ADDRESS, one);
    vfio_check_vectors(run.host, OTHER, two);
    vfio_device_write(one, 0, 0x1000, 1);
    vfio_device_write(two, 0, 0x1000, 2);
    g_assert_cmphex(vfio_host_read(run.host, ADDRESS, 0, 0x1000), ==, 1);
    g_assert_cmphex(vfio_host_read(run.host, OTHER, 0, 0x1000), ==, 2);
    vfio_device_free(two);
    vfio_run_end(&run);
}

static void plug(VfioRun *run, const char *options)
{
    g_autofree char *error = vfio_run_plug(run, options);

    g_assert_cmpstr(error, ==, NULL);
}

static void use_plugged(VfioRun *run, VfioArea table)
{
    VfioDevice *dev = vfio_device_new(run->qts, 1, 0);

    assert_area(dev->table, table.bar, table.offset);
    vfio_check_vectors(run->host, ADDRESS, dev);
    vfio_device_free(dev);
}

static void unplug(VfioRun *run)
{
    vfio_run_unplug(run);
    vfio_host_assert_unused(run->host);
}

static void test_hotplug(void)
{
    VfioRun run;

    if (!vfio_run_start(&run, ADDRESS NVME, VFIO_RUN_PORT)) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        plug(&run, ", 'x-msix-relocation': 'bar2'");
        g_assert_cmpuint(vfio_host_status(run.host, "devices"), ==, 1);
        use_plugged(&run, (VfioArea) { 2, 0 });
        unplug(&run);
        plug(&run, "");
        use_plugged(&run, (VfioArea) { 0, 0x2000 });
        unplug(&run);
    }
    vfio_run_end(&run);
}

static void fail_and_retry(VfioRun *run, const char *what)
{
    g_autofree char *error = NULL;

    vfio_host_fail(run->host, what);
    error = vfio_run_plug(run, ", 'x-msix-relocation': 'bar2'");
    g_test_message("%s: %s", what, error ? error : "no error");
    g_assert_nonnull(error);
    vfio_host_assert_unused(run->host);
    plug(run, ", 'x-msix-relocation': 'bar2'");
    use_plugged(run, (VfioArea) { 2, 0 });
    unplug(run);
}

static void test_failed_realize(void)
{
    static const char *const failures[] = {
        "VFIO_GROUP_GET_STATUS:EIO",
        "VFIO_GROUP_SET_CONTAINER:EBUSY",
        "VFIO_SET_IOMMU:EPERM",
        "VFIO_IOMMU_GET_INFO:EIO",
        "VFIO_IOMMU_MAP_DMA:ENOMEM",
        "VFIO_GROUP_GET_DEVICE_FD:EBUSY",
        "VFIO_DEVICE_GET_INFO:EIO",
        /* BAR 0, and config space */
        "VFIO_DEVICE_GET_REGION_INFO:EIO",
        "VFIO_DEVICE_GET_REGION_INFO:EIO:1:7",
        /* INTx */
        "VFIO_DEVICE_SET_IRQS:EIO",
    };
    VfioRun run;

    if (!vfio_run_start(&run, ADDRESS NVME, VFIO_RUN_PORT)) {
        return;
    }
    plug(&run, "");             /* the stand-in listens from now on */
    unplug(&run);
    for (int i = 0; i < G_N_ELEMENTS(failures); i++) {
        fail_and_retry(&run, failures[i]);
    }
    vfio_run_end(&run);
}

/* An invalid layout is refused, and the same device works when relocated */
static void test_invalid_layout(void)
{
    g_autofree char *error = NULL;
    VfioRun run;

    if (!vfio_run_start(&run, "page-size=4K\n" ADDRESS " bar0=16K,mem64 "
                        "msix=22 table=0:0x2000 pba=0:0x2100",
                        VFIO_RUN_PORT)) {
        return;
    }
    error = vfio_run_plug(&run, "");
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error, "table & pba overlap"));
    vfio_host_assert_unused(run.host);
    plug(&run, ", 'x-msix-relocation': 'bar2'");
    use_plugged(&run, (VfioArea) { 2, 0 });
    vfio_run_end(&run);
}

static void check_start(const char *args, unsigned bar)
{
    VfioRun run;

    if (!vfio_run_start(&run, "page-size=4K\n" ADDRESS NVME, args)) {
        return;
    }
    run.dev = vfio_device_new(run.qts, 0, VFIO_RUN_DEVFN);
    assert_area(run.dev->table, bar, 0);
    vfio_check_vectors(run.host, ADDRESS, run.dev);
    vfio_run_end(&run);
}

static void test_pc(void)
{
    check_start("-machine pc -nodefaults -device vfio-pci,host=" ADDRESS
                ",addr=4,x-msix-relocation=bar2", 2);
}

static void test_global(void)
{
    check_start("-global vfio-pci.x-msix-relocation=bar2 "
                "-device vfio-pci,host=" ADDRESS ",addr=4", 2);
}

static void test_json(void)
{
    check_start("-device '{\"driver\":\"vfio-pci\",\"host\":\"" ADDRESS "\","
                "\"addr\":\"4\",\"x-msix-relocation\":\"bar4\"}'", 4);
}

static void test_command_line_error(void)
{
    g_autofree char *text = NULL;
    VfioHost *host;

    if (!vfio_host_available()) {
        return;
    }
    host = vfio_host_new(ADDRESS NVME "\n");
    text = vfio_host_refused(host, "vfio-pci,host=" ADDRESS
                             ",x-msix-relocation=bar1");
    g_assert_nonnull(strstr(text, ADDRESS));
    vfio_host_free(host);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    for (int i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/vfio-msix/%s",
                                                cases[i].name);

        qtest_add_data_func(path, &cases[i], test_case);
    }
    qtest_add_func("/vfio-msix/pba/off", test_pba_off);
    qtest_add_func("/vfio-msix/pba/relocated", test_pba_relocated);
    qtest_add_func("/vfio-msix/two-devices", test_two_devices);
    qtest_add_func("/vfio-msix/hotplug", test_hotplug);
    qtest_add_func("/vfio-msix/failed-realize", test_failed_realize);
    qtest_add_func("/vfio-msix/invalid-layout", test_invalid_layout);
    if (g_str_equal(qtest_get_arch(), "x86_64")) {
        qtest_add_func("/vfio-msix/pc", test_pc);
    }
    qtest_add_func("/vfio-msix/global", test_global);
    qtest_add_func("/vfio-msix/json", test_json);
    qtest_add_func("/vfio-msix/command-line-error", test_command_line_error);

    return g_test_run();
}
