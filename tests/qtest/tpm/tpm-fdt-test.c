/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A TPM in the device tree of Arm's virt machine
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "../common/fdt-read.h"
#include "tpm-machine.h"

#define MACHINE "-machine virt,dtb-randomness=off -cpu max "
#define BUS "/platform-bus@c000000"
#define TIS "tpm-tis-device,%s"
#define FIRST_LINE 112          /* of the platform bus, an SPI */

static char *tree(const char *more, const char *device)
{
    g_autofree char *machine = g_strdup_printf(MACHINE "%s", more);
    TpmMachine *m = tpm_machine_start(TPM_VERSION_2_0, machine, device);
    char *dtb = fdt_fetch(m->qts, NULL);

    tpm_machine_stop(m);
    return dtb;
}

/* The TPM's node, whatever its address; *@offset of it on the bus */
static char *tpm_node(const char *dtb, const char *name, uint32_t *offset)
{
    g_autofree char *children = fdt_children(dtb, BUS);
    g_auto(GStrv) list = g_strsplit(children, " ", -1);
    g_autofree char *prefix = g_strdup_printf("%s@", name);
    char *found = NULL;
    int i;

    for (i = 0; list[i]; i++) {
        if (g_str_has_prefix(list[i], prefix)) {
            g_assert_null(found);
            found = g_strdup_printf(BUS "/%s", list[i]);
            *offset = g_ascii_strtoull(list[i] + strlen(prefix), NULL,
                                        16);
        }
    }
    g_assert_nonnull(found);
    return found;
}

static void assert_node(const char *dtb, const char *node, uint32_t offset,
                        uint32_t length)
{
    uint32_t size;

    g_assert_cmpstr(fdt_property(dtb, node, "compatible", NULL), ==,
                    "tcg,tpm-tis-mmio");
    fdt_property(dtb, node, "reg", &size);
    g_assert_cmpuint(size, ==, 8);
    g_assert_cmphex(fdt_cell(dtb, node, "reg", 0), ==, offset);
    g_assert_cmphex(fdt_cell(dtb, node, "reg", 1), ==, length);
}

static void test_tis(void)
{
    g_autofree char *dtb = tree("", TIS), *node = NULL;
    uint32_t offset;

    node = tpm_node(dtb, "tpm_tis", &offset);
    g_assert_cmphex(offset, ==, 0);
    assert_node(dtb, node, offset, 0x5000);
    g_assert_null(fdt_property(dtb, node, "interrupts", NULL));
    g_assert_null(fdt_property(dtb, node, "status", NULL));
}

static void assert_interrupt(const char *more, const char *device)
{
    g_autofree char *dtb = tree(more, device), *node = NULL;
    uint32_t offset, size;

    node = tpm_node(dtb, "tpm_tis", &offset);
    assert_node(dtb, node, offset, 0x5000);
    fdt_property(dtb, node, "interrupts", &size);
    g_assert_cmpuint(size, ==, 12);
    g_assert_cmpuint(fdt_cell(dtb, node, "interrupts", 0), ==, 0);
    g_assert_cmpuint(fdt_cell(dtb, node, "interrupts", 1), ==, FIRST_LINE);
    g_assert_cmpuint(fdt_cell(dtb, node, "interrupts", 2), ==, 4);
}

static void test_interrupt(void)
{
    assert_interrupt("", TIS ",interrupt=on");
    assert_interrupt("", TIS ",interrupt=on,ppi=on");
    assert_interrupt("-device uefi-vars-sysbus ", TIS ",interrupt=on");
    assert_interrupt("", TIS ",interrupt=on -device uefi-vars-sysbus");
}

/* The platform bus has another device before or after the TPM */
static void assert_beside(const char *more, const char *device,
                          const char *name, uint32_t length)
{
    g_autofree char *dtb = tree(more, device), *node = NULL, *vars = NULL;
    uint32_t tpm, other, end;

    node = tpm_node(dtb, name, &tpm);
    vars = tpm_node(dtb, "qemu-uefi-vars", &other);
    assert_node(dtb, node, tpm, length);
    end = other + fdt_cell(dtb, vars, "reg", 1);
    g_assert_true(tpm + length <= other || end <= tpm);
}

static void test_beside(void)
{
    assert_beside("-device uefi-vars-sysbus ", TIS, "tpm_tis", 0x5000);
    assert_beside("", TIS " -device uefi-vars-sysbus", "tpm_tis", 0x5000);
}

static void test_beside_crb(void)
{
    assert_beside("-device uefi-vars-sysbus ", "tpm-crb-device,%s", "tpm_crb",
                  0x1000);
    assert_beside("", "tpm-crb-device,%s,ppi=on -device uefi-vars-sysbus",
                  "tpm_crb", 0x1000);
}

/* Firmware finds it there and Linux does not take it for a FIFO */
static void test_crb(void)
{
    g_autofree char *dtb = tree("", "tpm-crb-device,%s"), *node = NULL;
    uint32_t offset;

    node = tpm_node(dtb, "tpm_crb", &offset);
    g_assert_cmphex(offset, ==, 0);
    assert_node(dtb, node, offset, 0x1000);
    g_assert_cmpstr(fdt_property(dtb, node, "status", NULL), ==, "disabled");
    g_assert_null(fdt_property(dtb, node, "interrupts", NULL));
}

/* Another reader finds the tree well formed and the node in it */
static void test_dtc(void)
{
    g_autofree char *dtc = g_find_program_in_path("dtc"), *dir = NULL;
    g_autofree char *path = NULL, *command = NULL, *text = NULL;
    TpmMachine *m;
    g_autofree char *dtb = NULL;
    gsize size;
    int status;

    if (!dtc) {
        g_test_skip("no dtc here");
        return;
    }
    m = tpm_machine_start(TPM_VERSION_2_0, MACHINE, TIS);
    dtb = fdt_fetch(m->qts, &size);
    tpm_machine_stop(m);
    dir = g_dir_make_tmp("tpm-fdt.XXXXXX", NULL);
    path = g_build_filename(dir, "dtb", NULL);
    g_assert_true(g_file_set_contents(path, dtb, size, NULL));
    command = g_strdup_printf("%s -q -I dtb -O dts %s", dtc, path);
    g_assert_true(g_spawn_command_line_sync(command, &text, NULL, &status,
                                            NULL));
    g_assert_cmpint(status, ==, 0);
    g_assert_nonnull(strstr(text, "tpm_tis@0 {"));
    g_assert_nonnull(strstr(text, "reg = <0x00 0x5000>"));
    g_unlink(path);
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("tpm-fdt/tis", test_tis);
    qtest_add_func("tpm-fdt/beside", test_beside);
    qtest_add_func("tpm-fdt/dtc", test_dtc);
    qtest_add_func("tpm-fdt/interrupt", test_interrupt);
    if (qtest_has_device("tpm-crb-device")) {
        qtest_add_func("tpm-fdt/crb", test_crb);
        qtest_add_func("tpm-fdt/beside-crb", test_beside_crb);
    }
    return g_test_run();
}
