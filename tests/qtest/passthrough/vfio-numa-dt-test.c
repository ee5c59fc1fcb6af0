/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * numa-node of vfio-pci on Arm without ACPI: the host bridge's node in the
 * device tree
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "vfio-numa.h"

#define MACHINE_DT "-machine virt,acpi=off,dtb-randomness=off -cpu max"

static uint32_t cell(const char *at)
{
    return ldl_be_p(at);
}

/* numa-node-id of the host bridge in a flattened device tree, -1: none */
static int bridge_node(const char *dtb)
{
    const char *at = dtb + cell(dtb + 8), *names = dtb + cell(dtb + 12);
    bool bridge = false;

    for (;;) {
        uint32_t token = cell(at);

        at += 4;
        if (token == 1) {                       /* FDT_BEGIN_NODE */
            bridge = g_str_has_prefix(at, "pcie@");
            at += ROUND_UP(strlen(at) + 1, 4);
        } else if (token == 2) {                /* FDT_END_NODE */
            bridge = false;
        } else if (token == 3) {                /* FDT_PROP */
            if (bridge && g_str_equal(names + cell(at + 4), "numa-node-id")) {
                return cell(at + 8);
            }
            at += 8 + ROUND_UP(cell(at), 4);
        } else if (token == 9) {                /* FDT_END */
            return -1;
        }
    }
}

static char *device_tree(QTestState *qts, gsize *size)
{
    g_autofree char *path = in_dir("dtb");
    char *dtb;

    qtest_qmp_assert_success(qts, "{ 'execute': 'dumpdtb', 'arguments': {"
                             " 'filename': %s } }", path);
    g_assert_true(g_file_get_contents(path, &dtb, size, NULL));
    return dtb;
}

/* All devices on the bridge are on @node, and that is in the device tree */
static void place_dt(const char *options, int node, const char *words)
{
    QTestState *qts = start(MACHINE_DT, options);
    g_autofree char *dtb = device_tree(qts, NULL);

    g_assert_cmpint(bridge_node(dtb), ==, node);
    assert_on(qts, "d0", "pcie.0", node);
    assert_on(qts, "d1", "pcie.0", node);
    assert_said(words);
    qtest_quit(qts);
}

static void test_dt(void)
{
    place_dt(TWO DEV("d0", ON_0 ",numa-node=1") DEV("d1", ON_UNKNOWN), 1,
             NULL);
    place_dt(TWO DEV("d0", ON_0 ",numa-node=0")
             DEV("d1", ON_UNKNOWN ",numa-node=0"), 0, NULL);
    place_dt(NODES("", BIND_0) DEV("d0", ON_0 ",numa-node=auto")
             DEV("d1", ON_UNKNOWN), 1, NULL);
    place_dt(NODES("", BIND_0) DEV("d0", ON_0 ",numa-node=auto")
             DEV("d1", ON_UNKNOWN ",numa-node=0"), 0,
             "the device belongs on node 1, but the guest sees it on node 0");
    place_dt(NODES("", BIND_0) DEV("d0", ON_UNKNOWN ",numa-node=auto")
             DEV("d1", ON_0 ",numa-node=1"), 1,
             "the host tells no NUMA node of the device; the guest sees the "
             "device on node 1");
    /* Given for all, a number gives way to that of a device */
    place_dt(TWO " -global vfio-pci.numa-node=0" DEV("d0", ON_0 ",numa-node=1")
             DEV("d1", ON_UNKNOWN), 1, "0000:02:00.0: numa-node=0: the device "
             "belongs on node 0, but the guest sees it on node 1");
    place_dt(NODES("", BIND_0) DEV("d0", ON_UNKNOWN ",numa-node=auto")
             DEV("d1", ON_0), -1, "the guest sees the device on no node");
}

static void test_dt_errors(void)
{
    g_free(refuse(MACHINE_DT, TWO DEV("d0", ON_0 ",numa-node=0")
                  DEV("d1", ON_UNKNOWN ",numa-node=1"),
                  "vfio 0000:02:00.0: numa-node=1: without ACPI, all devices "
                  "are on the node of bus 'pcie.0', and device 'd0' has "
                  "numa-node=0"));
    g_free(refuse(MACHINE_DT, TWO PXB(1) PORT(1)
                  DEV("d0", ON_0 ",bus=rp1,numa-node=1"),
                  "numa-node=1: bus 'rp1' is on no node, not on node 1: "
                  "without ACPI, the guest knows the node of bus 'pcie.0' "
                  "only: leave out bus=, or use one on it"));
    g_free(refuse(MACHINE_DT, TWO DEV("d0", ON_0 ",numa-node=2"),
                  "numa-node=2 is out of range"));
}

static void test_dt_hotplug(void)
{
    QTestState *qts = start(MACHINE_DT, TWO MAIN_PORT
                            DEV("d0", ON_0 ",numa-node=1"));

    assert_plug(qts, "d1", "0000:02:00.0", NULL, NULL);
    assert_on(qts, "d1", "rp", 1);
    assert_plug(qts, "d2", "0000:02:00.0", NULL,
                "numa-node=1: no hot-pluggable root port on node 1 is free, "
                "start the VM with: -device pcie-root-port,id=rp1,bus=pcie.0,"
                "chassis=10,slot=10");
    qtest_quit(qts);

    qts = start(MACHINE_DT, TWO MAIN_PORT DEV("d0", ON_0));
    assert_plug(qts, "d1", "0000:02:00.0", "rp",
                "numa-node=1: bus 'pcie.0' is on no node; without ACPI, that is "
                "decided when the VM is started");
    assert_plug(qts, "d1", "0000:02:00.0", NULL,
                "numa-node=1: without ACPI, all devices are on the node of "
                "bus 'pcie.0', which is decided when the VM is started");
    qtest_quit(qts);
}

/* With nothing asked for, the device tree is the one without the device */
static void test_dt_off(void)
{
    QTestState *with = start(MACHINE_DT, TWO DEV("d0", ON_0));
    gsize size, size0;
    g_autofree char *dtb = device_tree(with, &size);
    QTestState *without;
    g_autofree char *dtb0 = NULL;

    qtest_quit(with);
    without = start(MACHINE_DT, TWO);
    dtb0 = device_tree(without, &size0);
    qtest_quit(without);
    g_assert_cmpint(bridge_node(dtb), ==, -1);
    g_assert_cmpmem(dtb, size, dtb0, size0);
}

static void add_tests(void)
{
    qtest_add_func("/vfio-numa-dt/agreed", test_dt);
    qtest_add_func("/vfio-numa-dt/errors", test_dt_errors);
    qtest_add_func("/vfio-numa-dt/hotplug", test_dt_hotplug);
    qtest_add_func("/vfio-numa-dt/off", test_dt_off);
}

int main(int argc, char **argv)
{
    return numa_test_run(argc, argv, add_tests);
}
