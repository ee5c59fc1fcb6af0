/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * query-vfio-msix beside its siblings: which devices it lists, what it counts,
 * and that HMP and QOM say the same
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qobject/qbool.h"
#include "qobject/qnum.h"
#include "qobject/qstring.h"
#include "vfio-check.h"
#include "vfio-query.h"

#define ADDRESS         "0000:01:00.0"
#define OTHER           "0000:02:00.0"
#define DEVFN           PCI_DEVFN(4, 0)
#define PORT_DEVFN      PCI_DEVFN(5, 0)
#define PORT            "-device pcie-root-port,id=rp0,chassis=1,addr=5 "
#define TABLE_AT        0x20000

/* Table and PBA in pages of their own on any host */
#define NVME            " bar0=256K,mem64 msix=22 table=0:0x20000 " \
                        "pba=0:0x30000"

static void assert_ids(QTestState *qts, const char *expected)
{
    g_autofree char *ids = vfio_query_ids(qts);

    g_assert_cmpstr(ids, ==, expected);
}

static void test_list(void)
{
    VfioHost *host;
    QTestState *qts;

    if (!vfio_host_available()) {
        return;
    }
    host = vfio_host_new(ADDRESS NVME "\n" OTHER "\n");
    qts = vfio_host_start(host, "-device vfio-pci,host=" ADDRESS ",id=a "
                          "-device vfio-pci,host=" OTHER);
    assert_ids(qts, "a,none");
    qtest_quit(qts);
    qts = vfio_host_start(host, PORT);
    assert_ids(qts, "");
    qtest_quit(qts);
    vfio_host_free(host);
}

static void add(QTestState *qts, const char *options, bool works)
{
    g_autofree char *json = g_strdup_printf(
        "{ 'driver': 'vfio-pci', 'host': '" ADDRESS "', 'id': 'dev', "
        "'bus': 'rp0'%s }", options);
    g_autofree char *error = vfio_device_add(qts, json);

    if (works) {
        g_assert_cmpstr(error, ==, NULL);
    } else {
        g_assert_nonnull(error);
    }
}

static void test_hotplug(void)
{
    VfioHost *host;
    QTestState *qts;

    if (!vfio_host_available()) {
        return;
    }
    host = vfio_host_new(ADDRESS NVME "\n");
    qts = vfio_host_start(host, PORT);
    for (int i = 0; i < 2; i++) {
        assert_ids(qts, "");
        add(qts, ", 'x-msix-relocation': 'bar1'", false);
        assert_ids(qts, "");
        add(qts, ", 'x-msix-relocation': 'auto'", true);
        assert_ids(qts, "dev");
        qtest_qmp_device_del_send(qts, "dev");
        vfio_port_open(qts, PORT_DEVFN, 1);
        vfio_port_power_off(qts, PORT_DEVFN);
        qtest_qmp_eventwait(qts, "DEVICE_DELETED");
    }
    assert_ids(qts, "");
    qtest_quit(qts);
    vfio_host_free(host);
}

static int64_t trapped(QTestState *qts, uint64_t offset, const char *what)
{
    QDict *info = vfio_query(qts, "dev");
    QDict *trap = vfio_query_trap(info, 0, offset);
    int64_t n = trap ? qdict_get_int(trap, what) : -1;

    qobject_unref(info);
    return n;
}

static QObject *property(QTestState *qts, const char *name)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                           "'path': '/machine/peripheral/dev', "
                           "'property': %s }}", name);
    QObject *value = qobject_ref(qdict_get(rsp, "return"));

    qobject_unref(rsp);
    g_assert_nonnull(value);
    return value;
}

static void assert_trapped_sum(QTestState *qts, int64_t expected)
{
    QObject *value = property(qts, "msix-trapped-accesses");

    g_assert_cmpint(qnum_get_int(qobject_to(QNum, value)), ==, expected);
    qobject_unref(value);
}

static void test_counters(void)
{
    VfioHost *host;
    QTestState *qts;
    VfioDevice *dev;

    if (!vfio_host_available()) {
        return;
    }
    host = vfio_host_new(ADDRESS NVME "\n");
    qts = vfio_host_start(host, "-device vfio-pci,host=" ADDRESS
                          ",id=dev,addr=4");
    dev = vfio_device_new(qts, 0, DEVFN);
    g_assert_cmpint(trapped(qts, TABLE_AT, "writes"), ==, 0);
    g_assert_cmpint(trapped(qts, TABLE_AT, "reads"), ==, 0);
    for (int i = 0; i < 7; i++) {
        vfio_device_write(dev, 0, 0x1000, i);
        vfio_device_write(dev, 0, TABLE_AT, i);
    }
    for (int i = 0; i < 5; i++) {
        vfio_device_read(dev, 0, 0x1000);
        vfio_device_read(dev, 0, TABLE_AT);
    }
    g_assert_cmpint(trapped(qts, 0x1000, "writes"), ==, -1);
    g_assert_cmpint(trapped(qts, TABLE_AT, "writes"), ==, 7);
    g_assert_cmpint(trapped(qts, TABLE_AT, "reads"), ==, 5);
    assert_trapped_sum(qts, 12);
    /* The page's other registers trap with the table, and do work */
    vfio_device_write(dev, 0, TABLE_AT + 0xff0, 0x77);
    g_assert_cmpint(trapped(qts, TABLE_AT, "writes"), ==, 8);
    g_assert_cmphex(vfio_host_read(host, ADDRESS, 0, TABLE_AT + 0xff0), ==,
                    0x77);
    vfio_device_free(dev);
    qtest_quit(qts);
    vfio_host_free(host);
}

/* What the host does not let be mapped traps: each access is a system call */
static void test_unmapped_bar(void)
{
    VfioHost *host;
    QTestState *qts;
    VfioDevice *dev;

    if (!vfio_host_available()) {
        return;
    }
    host = vfio_host_new(ADDRESS " bar0=128K,mem64,nommap bar2=128K "
                         "msix=22 table=2:0 pba=2:0x10000\n");
    qts = vfio_host_start(host, "-device vfio-pci,host=" ADDRESS
                          ",id=dev,addr=4");
    dev = vfio_device_new(qts, 0, DEVFN);
    vfio_device_write(dev, 0, 0x1000, 1);
    vfio_device_read(dev, 0, 0x1000);
    vfio_device_read(dev, 0, 0x1000);
    g_assert_cmpint(trapped(qts, 0x1000, "writes"), ==, 1);
    g_assert_cmpint(trapped(qts, 0x1000, "reads"), ==, 2);
    assert_trapped_sum(qts, 3);
    g_assert_cmpuint(vfio_host_status(host, ADDRESS ".bar0.writes"), ==, 1);
    g_assert_cmpuint(vfio_host_status(host, ADDRESS ".bar0.reads"), ==, 2);
    vfio_device_free(dev);
    qtest_quit(qts);
    vfio_host_free(host);
}

static void assert_property(QTestState *qts, const char *name,
                            const char *expected)
{
    QObject *value = property(qts, name);

    g_assert_cmpstr(qstring_get_str(qobject_to(QString, value)), ==, expected);
    qobject_unref(value);
}

/* HMP and QOM agree with QMP */
static void check_siblings(VfioHost *host, const char *request)
{
    QTestState *qts = vfio_host_start(host, "-device vfio-pci,host=" ADDRESS
                                      ",id=dev,addr=4,x-msix-relocation=%s",
                                      request);
    g_autofree char *hmp = qtest_hmp(qts, "info vfio-msix");
    QDict *info = vfio_query(qts, "dev");
    const char *reason = qdict_get_str(info, "reason");
    bool relocated = qdict_get_bool(info, "relocated");
    QObject *value = property(qts, "msix-relocated");
    g_autofree char *bar = relocated ?
        g_strdup_printf("bar%d", (int)qdict_get_int(info, "bar")) :
        g_strdup("off");

    g_assert_cmpstr(qdict_get_str(info, "requested"), ==, request);
    g_assert_cmpstr(qdict_get_str(info, "qom-path"), ==,
                    "/machine/peripheral/dev");
    g_assert_nonnull(strstr(hmp, ADDRESS));
    g_assert_nonnull(strstr(hmp, reason));
    assert_property(qts, "msix-reason", reason);
    assert_property(qts, "msix-bar", bar);
    assert_property(qts, "x-msix-relocation", request);
    g_assert_cmpint(qbool_get_bool(qobject_to(QBool, value)), ==, relocated);
    qobject_unref(value);
    qobject_unref(info);
    qtest_quit(qts);
}

static void test_siblings(void)
{
    VfioHost *host;

    if (!vfio_host_available()) {
        return;
    }
    host = vfio_host_new(ADDRESS NVME "\n");
    check_siblings(host, "off");
    check_siblings(host, "auto");
    check_siblings(host, "bar4");
    vfio_host_free(host);
    host = vfio_host_new(ADDRESS " bar0=16K,mem64 msix=22 table=0:0x2000 "
                         "pba=0:0x2100\n");
    check_siblings(host, "auto");
    vfio_host_free(host);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/vfio-query/list", test_list);
    qtest_add_func("/vfio-query/hotplug", test_hotplug);
    qtest_add_func("/vfio-query/counters", test_counters);
    qtest_add_func("/vfio-query/unmapped-bar", test_unmapped_bar);
    qtest_add_func("/vfio-query/siblings", test_siblings);

    return g_test_run();
}
