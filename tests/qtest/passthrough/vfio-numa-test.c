/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * numa-node of vfio-pci: the bus that a device gets, the node that it is on,
 * and what is said if that is not possible
 */
#include "qemu/osdep.h"
#include "vfio-numa.h"

/* By number */

static void test_pick(void)
{
    QTestState *qts = start(machine, TWO MAIN_PORT BOTH
                            DEV("d0", ON_0 ",numa-node=1")
                            DEV("d1", ON_UNKNOWN ",numa-node=0"));

    assert_on(qts, "d0", "rp1", 1);
    assert_number(qts, "d0", "numa-node", 1);
    assert_on(qts, "d1", "rp0", 0);
    assert_number(qts, "d1", "numa-node", 0);
    assert_said(NULL);
    qtest_quit(qts);
}

/* A port that a later option names is left to it */
static void test_pick_later(void)
{
    QTestState *qts = start(machine, TWO BOTH
                            " -device pcie-root-port,id=second,bus=pxb1,"
                            "chassis=7,slot=7"
                            DEV("d0", ON_0 ",numa-node=1")
                            DEV("d1", ON_UNKNOWN ",bus=rp1"));

    assert_on(qts, "d0", "second", 1);
    assert_on(qts, "d1", "rp1", 1);
    qtest_quit(qts);
}

static void test_off(void)
{
    QTestState *qts = start(machine, TWO BOTH
                            DEV("d0", ON_0 ",bus=rp1,numa-node=off")
                            DEV("d1", ON_UNKNOWN ",bus=pcie.0"));

    assert_on(qts, "d0", "rp1", 1);
    assert_word(qts, "d0", "off");
    assert_on(qts, "d1", "pcie.0", -1);
    assert_word(qts, "d1", "off");
    assert_said(NULL);
    qtest_quit(qts);
}

static void test_notations(void)
{
#define JSON(value) TWO BOTH " -device '{\"driver\": \"vfio-pci\", " \
    "\"id\": \"d0\", \"host\": \"0000:01:00.0\", \"numa-node\": " value "}'"
    place(machine, JSON("1"), "rp1", 1, NULL);
    place(machine, JSON("\"1\""), "rp1", 1, NULL);
    place(machine, TWO BOTH " -global vfio-pci.numa-node=1" DEV("d0", ON_0),
          "rp1", 1, NULL);
    place(machine, TWO BOTH DEV("d0", ON_0) " -set device.d0.numa-node=1",
          "rp1", 1, NULL);
    place(machine, JSON("\"off\"") " -set device.d0.numa-node=1", "rp1", 1,
          NULL);
    g_free(refuse(machine, JSON("128"), "Parameter 'numa-node' expects off, "
                  "auto or a NUMA node of the guest, 0 to 127, not 128"));
    g_free(refuse(machine, JSON("1.5"), "Parameter 'numa-node' expects off"));
    g_free(refuse(machine, JSON("true"), "numa-node"));
    g_free(refuse(machine, TWO BOTH DEV("d0", ON_0 ",numa-node=-1"),
                  "Parameter 'numa-node' expects off, auto or"));
    g_free(refuse(machine, TWO BOTH " -global vfio-pci.numa-node=on"
                  DEV("d0", ON_0), "Parameter 'numa-node' expects off, auto"));
}

/* Devices given as JSON are created last, wherever their options are */
static void test_json_later(void)
{
#define JSON_PXB " -device '{\"driver\": \"pxb-pcie\", \"id\": \"pxb1\", " \
    "\"bus\": \"pcie.0\", \"bus_nr\": 128, \"numa_node\": %s}'"
#define JSON_RNG " -device '{\"driver\": \"virtio-rng-pci\", " \
    "\"bus\": \"rp1\"}'"
    g_autofree char *same = g_strdup_printf(TWO JSON_PXB, "1");
    g_autofree char *other = g_strdup_printf(TWO JSON_PXB, "0");
    g_autofree char *with_same =
        g_strconcat(same, DEV("d0", ON_0 ",numa-node=1"), NULL);
    g_autofree char *with_other =
        g_strconcat(other, DEV("d0", ON_0 ",numa-node=1"), NULL);

    place(machine, TWO JSON_RNG PXB(1) PORT(1)
          " -device pcie-root-port,id=rp2,bus=pxb1,chassis=2,slot=2"
          DEV("d0", ON_0 ",numa-node=1"), "rp2", 1, NULL);
    g_free(refuse(machine, with_same, "numa-node=1: no root port on node 1 is "
                  "free, add before the device: -device pxb-pcie,id=pxb2,"));
    assert_said("(a pxb-pcie given as JSON comes later than devices given as "
                "key=value)");
    g_free(refuse(machine, with_other, "-device pxb-pcie,id=pxb2,bus=pcie.0,"
                  "bus_nr="));
}

static void test_bus(void)
{
    place(machine, TWO BOTH DEV("d0", ON_0 ",bus=rp1,numa-node=1"), "rp1", 1,
          NULL);
    g_free(refuse(machine, TWO BOTH DEV("d0", ON_0 ",bus=rp0,numa-node=1"),
                  "vfio 0000:01:00.0: numa-node=1: bus 'rp0' is on node 0, not "
                  "on node 1: use bus=rp1, or leave out bus="));
    g_free(refuse(machine, TWO BOTH DEV("d0", ON_0 ",bus=pcie.0,numa-node=1"),
                  "numa-node=1: bus 'pcie.0' is on no node, not on node 1"));
}

static void test_range(void)
{
    g_free(refuse(machine, TWO BOTH DEV("d0", ON_0 ",numa-node=2"),
                  "numa-node=2 is out of range: the guest has NUMA nodes 0 "
                  "to 1"));
    g_free(refuse(machine, DEV("d0", ON_0 ",numa-node=0"),
                  "numa-node=0: the guest has no NUMA nodes, add them with "
                  "-numa node,..."));
}

/* The options that an error prints must really help */
static void take_advice(const char *options, const char *expected)
{
    g_autofree char *before = g_strconcat(TWO, options, NULL);
    g_autofree char *all =
        g_strconcat(before, DEV("d0", ON_0 ",numa-node=1"), NULL);
    g_autofree char *text = refuse(machine, all, "numa-node=1: no root port "
                                   "on node 1 is free, add before the device: "
                                   "-device ");
    g_autofree char *advice =
        g_strstrip(g_strdup(g_strrstr(text, ": -device ") + 2));
    g_autofree char *advised =
        g_strconcat(before, " ", advice, DEV("d0", ON_0 ",numa-node=1"), NULL);
    QTestState *qts;

    g_assert_nonnull(strstr(advice, expected));
    qts = start(machine, advised);
    assert_number(qts, "d0", "numa-node-actual", 1);
    assert_said(NULL);
    qtest_quit(qts);
}

static void test_advice(void)
{
    take_advice("", "-device pxb-pcie,id=pxb1,bus=pcie.0,bus_nr=128,"
                "numa_node=1 -device pcie-root-port,id=rp1,bus=pxb1,"
                "chassis=1,slot=1");
    take_advice(PXB(0) PORT(0) MAIN_PORT, "id=pxb1,bus=pcie.0");
    take_advice(PXB(1), "-device pcie-root-port,id=rp1,bus=pxb1");
    take_advice(PXB(1) PORT(1) DEV("d1", ON_UNKNOWN ",bus=rp1"),
                "-device pcie-root-port,id=rp2,bus=pxb1,chassis=2,slot=2");
    take_advice(" -device pcie-root-port,id=pxb1,chassis=1,slot=1"
                " -device pxb-pcie,id=rp1,bus=pcie.0,bus_nr=128",
                "id=pxb2,bus=pcie.0");
}

/* Automatically */

static void test_auto(void)
{
    place(machine, NODES("", BIND_0) BOTH DEV("d0", ON_0 ",numa-node=auto"),
          "rp1", 1, NULL);
    place(machine, NODES(BIND_0, "") BOTH DEV("d0", ON_0 ",numa-node=auto"),
          "rp0", 0, NULL);
    place(machine, NODES("", BIND_0) BOTH
          DEV("d0", ON_0 ",bus=rp1,numa-node=auto"), "rp1", 1, NULL);
}

static void test_auto_sysfs(void)
{
    g_autofree char *options =
        g_strdup_printf(NODES("", BIND_0) BOTH DEV("d0", "numa-node=auto")
                        ",sysfsdev=/sys/bus/pci/devices/0000:01:00.0");

    place(machine, options, "rp1", 1, NULL);
}

static void test_auto_elsewhere(void)
{
    place(machine, NODES("", BIND_0) BOTH
          DEV("d0", ON_0 ",bus=rp0,numa-node=auto"), "rp0", 0,
          "warning: vfio 0000:01:00.0: numa-node=auto: the device belongs on "
          "node 1, but the guest sees it on node 0, that of bus 'rp0': use "
          "bus=rp1, or leave out bus=");
    place(machine, NODES("", BIND_0) PXB(0) PORT(0)
          DEV("d0", ON_0 ",numa-node=auto"), "pcie.0", -1,
          "the device belongs on node 1, but the guest sees it on no node, "
          "that of bus 'pcie.0': no root port on node 1 is free, add "
          "before the device: -device pxb-pcie,");
}

static void test_auto_unknown(void)
{
    QTestState *qts;

    place(machine, NODES("", BIND_0) BOTH
          DEV("d0", ON_UNKNOWN ",numa-node=auto"), "pcie.0", -1,
          "warning: vfio 0000:02:00.0: numa-node=auto: the host tells no NUMA "
          "node of the device; the guest sees the device on no node");
    place(machine, TWO BOTH DEV("d0", ON_0 ",bus=rp0,numa-node=auto"), "rp0",
          0, "numa-node=auto: no memory backend of a guest node is bound to "
          "host node 0 alone (host-nodes=0,policy=bind); the guest sees the "
          "device on node 0");
    place(machine, NODES(BIND_0, BIND_0) BOTH
          DEV("d0", ON_0 ",numa-node=auto"), "pcie.0", -1,
          "numa-node=auto: the memory of the guest's nodes 0 and 1 is bound "
          "to host node 0; the guest sees the device on no node");

    qts = start(machine, DEV("d0", ON_0 ",numa-node=auto"));
    assert_word(qts, "d0", "auto");
    assert_said("no memory backend of a guest node is bound");
    qtest_quit(qts);
}

/* Hotplug */

static void test_hotplug(void)
{
    QTestState *qts = start(machine, TWO BOTH);

    assert_plug(qts, "d0", "0000:01:00.0", "rp0",
                "numa-node=1: bus 'rp0' is on node 0, not on node 1: use "
                "bus=rp1, or leave out bus=");
    assert_plug(qts, "d0", "0000:09:00.0", NULL, "0000:09:00.0");
    assert_plug(qts, "d0", "0000:01:00.0", NULL, NULL);
    assert_on(qts, "d0", "rp1", 1);
    assert_plug(qts, "d1", "0000:02:00.0", NULL,
                "numa-node=1: no hot-pluggable root port on node 1 is free, "
                "start the VM with: -device pcie-root-port,id=rp2,"
                "bus=pxb1,chassis=2,slot=2");
    assert_plug(qts, "d1", "0000:02:00.0", "pxb1", "hotplug");
    qtest_quit(qts);
}

/* A port that takes no hotplug is not for hotplug */
static void test_hotplug_port(void)
{
    QTestState *qts = start(machine, TWO PXB(1) PORT(1) ",hotplug=off"
                            " -device pcie-root-port,id=second,bus=pxb1,"
                            "chassis=7,slot=7");

    assert_plug(qts, "d0", "0000:01:00.0", NULL, NULL);
    assert_on(qts, "d0", "second", 1);
    qtest_quit(qts);
}

static void test_acpi_off(void)
{
    g_free(refuse("-machine q35,acpi=off", TWO BOTH
                  DEV("d0", ON_0 ",numa-node=1"),
                  "numa-node=1: with acpi=off, the guest does not learn "
                  "nodes"));
    g_free(refuse("-machine q35,acpi=off", TWO BOTH
                  DEV("d0", ON_0 ",bus=rp1,numa-node=1"),
                  "numa-node=1: bus 'rp1' is on no node"));
    place("-machine q35,acpi=off", NODES("", BIND_0) BOTH
          DEV("d0", ON_0 ",numa-node=auto"), "pcie.0", -1,
          "but the guest sees it on no node");
}

/* The same remedy as for a number */
static void test_hotplug_auto(void)
{
    QTestState *qts = start(machine, NODES("", BIND_0) PXB(1));
    g_autofree char *number = plug(qts, "d0", "0000:01:00.0", NULL, "1");
    g_autofree char *automatic = plug(qts, "d0", "0000:01:00.0", NULL, "auto");

    g_assert_nonnull(number);
    g_assert_nonnull(automatic);
    g_assert_nonnull(strstr(number, "start the VM with: -device "));
    g_assert_true(g_str_has_prefix(number, "numa-node=1: "));
    g_assert_true(g_str_has_prefix(automatic, "numa-node=auto: "));
    g_assert_cmpstr(strchr(automatic, ' '), ==, strchr(number, ' '));
    qtest_quit(qts);
}

/* For all devices it is a wish: those that cannot have it go without */
static void test_global(void)
{
#define ALL(n) " -global vfio-pci.numa-node=" #n
    QTestState *qts = start(machine, TWO BOTH ALL(1) DEV("d0", ON_0)
                            DEV("d1", ON_UNKNOWN));

    assert_on(qts, "d0", "rp1", 1);
    assert_on(qts, "d1", "pcie.0", -1);
    assert_said("warning: vfio 0000:02:00.0: numa-node=1: the device belongs "
                "on node 1, but the guest sees it on no node, that of bus "
                "'pcie.0': no root port on node 1 is free, add before the "
                "device: -device pcie-root-port,");
    qtest_quit(qts);
    place(machine, TWO BOTH ALL(7) DEV("d0", ON_0), "pcie.0", -1,
          "numa-node=7: the guest has NUMA nodes 0 to 1; the guest sees the "
          "device on no node");
    place(machine, MAIN_PORT ALL(0) DEV("d0", ON_0), "pcie.0", -1,
          "numa-node=0: the guest has no NUMA nodes");
    place(machine, TWO BOTH ALL(1) DEV("d0", ON_0 ",bus=rp0"), "rp0", 0,
          "numa-node=1: the device belongs on node 1, but the guest sees it on "
          "node 0, that of bus 'rp0'");
    place(machine, TWO BOTH ALL(1) DEV("d0", ON_0 ",addr=5"), "pcie.0", -1,
          "use bus=rp1, or leave out bus= and addr=");
    place(machine, TWO BOTH ALL(1) DEV("d0", ON_0 ",numa-node=0"), "rp0", 0,
          NULL);
    g_free(refuse(machine, TWO BOTH ALL(1) DEV("d0", ON_0 ",numa-node=7"),
                  "numa-node=7 is out of range"));
}

/* A machine without root ports takes it elsewhere, as without the wish */
static void test_global_hotplug(void)
{
    static const char *const wishes[] = { ALL(1), ALL(auto) };

    for (int i = 0; i < G_N_ELEMENTS(wishes); i++) {
        g_autofree char *args = g_strconcat(TWO, wishes[i], NULL);
        QTestState *qts = start("-machine pc", args);

        qtest_qmp_assert_success(qts, "{ 'execute': 'device_add', 'arguments': "
                                 "{ 'driver': 'vfio-pci', 'id': 'd0', "
                                 "'host': '0000:01:00.0' } }");
        qtest_quit(qts);
    }
}

/* Functions of a device share the port of function 0, or are refused */
static void test_functions(void)
{
#define SECOND_PORT " -device pcie-root-port,id=rp2,bus=pxb1,chassis=2,slot=2"
#define F0(id, host) DEV(id, host ",numa-node=1,addr=0.0,multifunction=on")
#define F1(id, host) DEV(id, host ",numa-node=1,addr=0.1")
    QTestState *qts = start(machine, TWO BOTH SECOND_PORT
                            F0("d0", FUNCTION_0) F1("d1", FUNCTION_1));

    assert_on(qts, "d0", "rp1", 1);
    assert_on(qts, "d1", "rp1", 1);
    qtest_quit(qts);

    /* By the host's slot, where others might be meant */
    qts = start(machine, TWO BOTH SECOND_PORT F0("other", ON_0)
                F0("d0", FUNCTION_0) F1("d1", FUNCTION_1));
    assert_on(qts, "other", "rp1", 1);
    assert_on(qts, "d0", "rp2", 1);
    assert_on(qts, "d1", "rp2", 1);
    qtest_quit(qts);

    /* Any device, if there is one only */
    qts = start(machine, TWO BOTH SECOND_PORT F0("d0", ON_0)
                F1("d1", ON_UNKNOWN));
    assert_on(qts, "d1", "rp1", 1);
    qtest_quit(qts);

    g_free(refuse(machine, TWO BOTH SECOND_PORT F0("d0", ON_0)
                  F0("d2", FUNCTION_0) F1("d1", ON_UNKNOWN),
                  "numa-node=1: addr=0.1: 2 ports on node 1 have a function 0 "
                  "with multifunction=on: name one by bus="));
    g_free(refuse(machine, TWO BOTH F1("d1", FUNCTION_1),
                  "numa-node=1: addr=0.1: no port on node 1 has a function 0"));
    g_free(refuse(machine, TWO BOTH DEV("d0", FUNCTION_0 ",numa-node=1")
                  F1("d1", FUNCTION_1),
                  "no port on node 1 has a function 0 with multifunction=on"));
    g_free(refuse(machine, TWO BOTH DEV("d0", ON_0 ",numa-node=1,addr=5"),
                  "numa-node=1: addr=5.0: below a root port there is slot 0 "
                  "only"));
}

static void add_tests(void)
{
    qtest_add_func("/vfio-numa/pick", test_pick);
    qtest_add_func("/vfio-numa/pick-later", test_pick_later);
    qtest_add_func("/vfio-numa/off", test_off);
    qtest_add_func("/vfio-numa/notations", test_notations);
    qtest_add_func("/vfio-numa/bus", test_bus);
    qtest_add_func("/vfio-numa/range", test_range);
    qtest_add_func("/vfio-numa/advice", test_advice);
    qtest_add_func("/vfio-numa/json-later", test_json_later);
    qtest_add_func("/vfio-numa/auto", test_auto);
    qtest_add_func("/vfio-numa/auto-sysfs", test_auto_sysfs);
    qtest_add_func("/vfio-numa/auto-elsewhere", test_auto_elsewhere);
    qtest_add_func("/vfio-numa/auto-unknown", test_auto_unknown);
    qtest_add_func("/vfio-numa/hotplug", test_hotplug);
    qtest_add_func("/vfio-numa/hotplug-port", test_hotplug_port);
    qtest_add_func("/vfio-numa/hotplug-auto", test_hotplug_auto);
    qtest_add_func("/vfio-numa/global", test_global);
    qtest_add_func("/vfio-numa/functions", test_functions);
    if (g_str_equal(qtest_get_arch(), "x86_64")) {
        qtest_add_func("/vfio-numa/acpi-off", test_acpi_off);
        qtest_add_func("/vfio-numa/global-hotplug", test_global_hotplug);
    }
}

int main(int argc, char **argv)
{
    return numa_test_run(argc, argv, add_tests);
}
