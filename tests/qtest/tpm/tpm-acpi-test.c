/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A TPM in the ACPI tables
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qemu/bswap.h"
#include "../common/aml-walk.h"
#include "../common/fw-cfg-file.h"
#include "../common/stock.h"
#include "tpm-machine.h"

#define VIRT "-machine virt -cpu max "
#define TIS "tpm-tis-device,%s"
#define CRB "tpm-crb-device,%s"
#define FIRST_GSI 144           /* of the platform bus */
#define PNP0C31 0x310cd041      /* as an EISA ID */
/* Each region is followed by its fields */
#define PPI_TERMS " TPP2 TPP2 TPP3 TPP3 TPFN TPM2 TPM3 _DSM"
#define LOG_SIZE 0x10000

typedef struct Tables {
    GByteArray *all;
    AmlSpan dsdt, tpm, tpm2;
    bool log;
} Tables;

static Tables tables_of(const char *var, enum TPMVersion version,
                        const char *machine, const char *device)
{
    TpmMachine *m = tpm_machine_start_env(var, version, machine, device);
    Tables t = { .all = fw_cfg_file(m->qts, "etc/acpi/tables") };
    GByteArray *log = fw_cfg_file(m->qts, "etc/tpm/log");

    tpm_machine_stop(m);
    t.dsdt = acpi_table(t.all, "DSDT");
    g_assert_nonnull(t.dsdt.data);
    t.tpm = aml_device(t.dsdt, tpm_on_arm() ? "TPM0" : "TPM_");
    t.tpm2 = acpi_table(t.all, "TPM2");
    t.log = log && log->len == LOG_SIZE;
    if (log) {
        g_byte_array_unref(log);
    }
    return t;
}

static Tables tables(enum TPMVersion version, const char *machine,
                     const char *device)
{
    return tables_of(NULL, version, machine, device);
}

static void done(Tables *t)
{
    g_byte_array_unref(t->all);
}

static void assert_names(Tables *t, const char *expected)
{
    g_autofree char *names = aml_names(t->tpm);

    g_assert_cmpstr(names, ==, expected);
}

static void assert_memory(Tables *t, uint32_t base, uint32_t size)
{
    AmlSpan memory = aml_resource(aml_object(t->tpm, "_CRS"),
                                  AML_MEMORY32_FIXED);

    g_assert_cmpuint(memory.size, ==, 12);
    g_assert_cmphex((uint32_t)ldl_le_p(memory.data + 4), ==, base);
    g_assert_cmphex((uint32_t)ldl_le_p(memory.data + 8), ==, size);
}

static void assert_gsi(Tables *t, uint32_t gsi)
{
    AmlSpan irq = aml_resource(aml_object(t->tpm, "_CRS"),
                               AML_EXTENDED_INTERRUPT);

    if (!gsi) {
        g_assert_null(irq.data);
        return;
    }
    g_assert_cmpuint(irq.size, ==, 9);
    g_assert_cmphex(irq.data[3], ==, 1);        /* consumer, level, high */
    g_assert_cmpuint(irq.data[4], ==, 1);
    g_assert_cmpuint(ldl_le_p(irq.data + 5), ==, gsi);
}

/* The TPM2 table and the memory for the log of the firmware */
static void assert_tpm2(Tables *t, uint64_t control, uint32_t method)
{
    g_assert_cmpuint(t->tpm2.size, ==, 76);
    g_assert_cmpuint(t->tpm2.data[8], ==, 4);
    g_assert_cmphex(ldq_le_p(t->tpm2.data + 40), ==, control);
    g_assert_cmpuint(ldl_le_p(t->tpm2.data + 48), ==, method);
    g_assert_cmpuint(ldl_le_p(t->tpm2.data + 64), ==, LOG_SIZE);
    g_assert_true(t->log);
}

static void assert_2_0(Tables *t, uint64_t uid)
{
    g_assert_cmpstr(aml_string(aml_object(t->tpm, "_HID")), ==, "MSFT0101");
    g_assert_cmpuint(aml_integer(aml_object(t->tpm, "_UID")), ==, uid);
}

/* Where the page is: after the address space of the region TPP2 */
static uint64_t ppi_page(Tables *t)
{
    AmlSpan region = aml_object(t->tpm, "TPP2");

    g_assert_nonnull(region.data);
    return aml_integer((AmlSpan) { region.data + 1, region.size - 1 }) - 0x100;
}

static void test_tis(void)
{
    Tables t = tables(TPM_VERSION_2_0, VIRT, TIS);

    assert_names(&t, "_HID _STR _UID _CRS");
    assert_2_0(&t, 0);
    assert_memory(&t, TPM_ARM_BASE, 0x5000);
    assert_gsi(&t, 0);
    assert_tpm2(&t, 0, 6);
    done(&t);
}

/* Another driver, and no table of a TPM 2.0 */
static void test_tis_1_2(void)
{
    Tables t = tables(TPM_VERSION_1_2, VIRT, TIS);

    assert_names(&t, "_HID _UID _CRS");
    g_assert_cmphex(aml_integer(aml_object(t.tpm, "_HID")), ==, PNP0C31);
    assert_memory(&t, TPM_ARM_BASE, 0x5000);
    g_assert_null(t.tpm2.data);
    done(&t);
}

static void test_ppi(void)
{
    Tables t = tables(TPM_VERSION_2_0, VIRT, TIS ",ppi=on");

    assert_names(&t, "_HID _STR _UID _STA _CRS" PPI_TERMS);
    assert_2_0(&t, 1);
    g_assert_cmphex(aml_integer(aml_object(t.tpm, "_STA")), ==, 0xf);
    assert_memory(&t, TPM_ARM_BASE, 0x5000);
    g_assert_cmphex(ppi_page(&t), >=, TPM_ARM_BASE + 0x5000);
    g_assert_cmphex(ppi_page(&t) % 0x1000, ==, 0);
    done(&t);
}

static void test_interrupt(void)
{
    Tables t = tables(TPM_VERSION_2_0, VIRT, TIS ",interrupt=on");

    assert_names(&t, "_HID _STR _UID _CRS");
    assert_memory(&t, TPM_ARM_BASE, 0x5000);
    assert_gsi(&t, FIRST_GSI);
    done(&t);
    t = tables(TPM_VERSION_2_0, VIRT "-device uefi-vars-sysbus",
               TIS ",interrupt=on");
    assert_gsi(&t, FIRST_GSI);
    done(&t);
}

static void test_crb(void)
{
    Tables t = tables(TPM_VERSION_2_0, VIRT, CRB);

    assert_names(&t, "_HID _STR _UID _CRS");
    assert_2_0(&t, 0);
    assert_memory(&t, TPM_ARM_BASE, 0x1000);
    assert_gsi(&t, 0);
    assert_tpm2(&t, TPM_ARM_BASE + 0x40, 7);
    done(&t);
    t = tables(TPM_VERSION_2_0, VIRT, CRB ",ppi=on");
    assert_names(&t, "_HID _STR _UID _STA _CRS" PPI_TERMS);
    g_assert_cmphex(ppi_page(&t), >=, TPM_ARM_BASE + 0x1000);
    done(&t);
}

static void assert_pc(const char *machine, const char *device, uint32_t size,
                      uint64_t control, uint32_t method)
{
    Tables t = tables(TPM_VERSION_2_0, machine, device);

    g_assert_nonnull(t.tpm.data);
    assert_2_0(&t, 1);
    assert_memory(&t, 0xfed40000, size);
    g_assert_cmphex(ppi_page(&t), ==, 0xfed45000);
    assert_tpm2(&t, control, method);
    done(&t);
}

static void test_pc(void)
{
    assert_pc("-machine q35", "tpm-tis,%s", 0x5000, 0, 6);
    assert_pc("-machine q35", "tpm-crb,%s", 0x1000, 0xfed40040, 7);
}

static void test_microvm(void)
{
    Tables t;

    assert_pc("-machine microvm", "tpm-tis,%s", 0x5000, 0, 6);
    t = tables(TPM_VERSION_1_2, "-machine microvm", "tpm-tis,%s");
    g_assert_nonnull(t.tpm.data);
    g_assert_null(t.tpm2.data);
    done(&t);
}

static void test_microvm_crb(void)
{
    /* It starts as ever, and no table tells of it */
    Tables t = tables(TPM_VERSION_2_0, "-machine microvm", "tpm-crb,%s");

    g_assert_nonnull(t.dsdt.data);
    g_assert_null(t.tpm.data);
    g_assert_null(t.tpm2.data);
    done(&t);
}

/* With nothing new asked for: byte for byte what stock QEMU says */
static void assert_as_stock(const char *machine, const char *device)
{
    Tables ours = tables(TPM_VERSION_2_0, machine, device);
    Tables stock = tables_of(STOCK_BINARY, TPM_VERSION_2_0, machine,
                             device);

    g_assert_cmpmem(ours.dsdt.data, ours.dsdt.size, stock.dsdt.data,
                    stock.dsdt.size);
    g_assert_cmpmem(ours.tpm2.data, ours.tpm2.size, stock.tpm2.data,
                    stock.tpm2.size);
    done(&ours);
    done(&stock);
}

static void test_as_stock(void)
{
    if (!have_stock()) {
        return;
    }
    if (tpm_on_arm()) {
        assert_as_stock(VIRT, TIS);
        assert_as_stock(VIRT "-device uefi-vars-sysbus", TIS);
    } else {
        assert_as_stock("-machine q35", "tpm-tis,%s");
        assert_as_stock("-machine q35", "tpm-tis,%s,ppi=off");
        assert_as_stock("-machine q35", "tpm-crb,%s");
        assert_as_stock("-machine microvm", "tpm-crb,%s");
    }
}

/* Another reader understands the DSDT, and finds the TPM in it */
static void assert_iasl(const char *iasl, const char *machine,
                        const char *device)
{
    Tables t = tables(TPM_VERSION_2_0, machine, device);
    g_autofree char *dir = g_dir_make_tmp("tpm-acpi.XXXXXX", NULL);
    g_autofree char *aml = g_build_filename(dir, "dsdt.aml", NULL);
    g_autofree char *dsl = g_build_filename(dir, "dsdt.dsl", NULL);
    g_autofree char *command = g_strdup_printf("%s -d %s", iasl, aml);
    g_autofree char *text = NULL, *out = NULL, *err = NULL;
    int status;

    g_assert_true(g_file_set_contents(aml, (char *)t.dsdt.data, t.dsdt.size,
                                      NULL));
    g_assert_true(g_spawn_command_line_sync(command, &out, &err, &status,
                                            NULL));
    g_assert_cmpint(status, ==, 0);
    g_assert_true(g_file_get_contents(dsl, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, tpm_on_arm() ? "Device (TPM0)"
                                               : "Device (TPM)"));
    g_assert_nonnull(strstr(text, "\"MSFT0101\""));
    g_unlink(aml);
    g_unlink(dsl);
    g_rmdir(dir);
    done(&t);
}

static void test_iasl(void)
{
    g_autofree char *iasl = g_find_program_in_path("iasl");

    if (!iasl) {
        g_test_skip("no iasl here");
    } else if (tpm_on_arm()) {
        assert_iasl(iasl, VIRT, TIS);
        assert_iasl(iasl, VIRT, TIS ",ppi=on,interrupt=on");
    } else {
        assert_iasl(iasl, "-machine q35", "tpm-tis,%s");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (tpm_on_arm()) {
        qtest_add_func("tpm-acpi/tis", test_tis);
        qtest_add_func("tpm-acpi/tis-1.2", test_tis_1_2);
        qtest_add_func("tpm-acpi/ppi", test_ppi);
        qtest_add_func("tpm-acpi/interrupt", test_interrupt);
        if (qtest_has_device("tpm-crb-device")) {
            qtest_add_func("tpm-acpi/crb", test_crb);
        }
    } else {
        qtest_add_func("tpm-acpi/pc", test_pc);
        qtest_add_func("tpm-acpi/microvm", test_microvm);
        qtest_add_func("tpm-acpi/microvm-crb", test_microvm_crb);
    }
    qtest_add_func("tpm-acpi/as-stock", test_as_stock);
    qtest_add_func("tpm-acpi/iasl", test_iasl);
    return g_test_run();
}
