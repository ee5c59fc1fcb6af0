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
#include "vfio-run.h"

#define ADDRESS         VFIO_RUN_ADDRESS
#define OTHER           "0000:02:00.0"
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
    VfioRun run;

    if (!vfio_run_start(&run, ADDRESS NVME "\n" OTHER, "-device vfio-pci,host="
                        ADDRESS ",id=a -device vfio-pci,host=" OTHER)) {
        return;
    }
    assert_ids(run.qts, "a,none");
    vfio_run_end(&run);
    g_assert_true(vfio_run_start(&run, ADDRESS, VFIO_RUN_PORT));
    assert_ids(run.qts, "");
    vfio_run_end(&run);
}

static void add(VfioRun *run, const char *options, bool works)
{
    g_autofree char *error = vfio_run_plug(run, options);

    if (works) {
        g_assert_cmpstr(error, ==, NULL);
    } else {
        g_assert_nonnull(error);
    }
}

static void test_hotplug(void)
{
    VfioRun run;

    if (!vfio_run_start(&run, ADDRESS NVME, VFIO_RUN_PORT)) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        assert_ids(run.qts, "");
        add(&run, ", 'x-msix-relocation': 'bar1'", false);
        assert_ids(run.qts, "");
        add(&run, ", 'x-msix-relocation': 'auto'", true);
        assert_ids(run.qts, "dev");
        vfio_run_unplug(&run);
    }
    assert_ids(run.qts, "");
    vfio_run_end(&run);
}

static int64_t trapped_in(QTestState *qts, unsigned bar, uint64_t offset,
                          const char *what)
{
    QDict *info = vfio_query(qts, "dev");
    QDict *trap = vfio_query_trap(info, bar, offset);
    int64_t n = trap ? qdict_get_int(trap, what) : -1;

    qobject_unref(info);
    return n;
}

static int64_t trapped(QTestState *qts, uint64_t offset, const char *what)
{
    return trapped_in(qts, 0, offset, what);
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
    QTestState *qts;
    VfioDevice *dev;
    VfioRun run;

    if (!vfio_run_device(&run, ADDRESS NVME, "")) {
        return;
    }
    qts = run.qts;
    dev = run.dev;
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
    g_assert_cmphex(vfio_host_read(run.host, ADDRESS, 0, TABLE_AT + 0xff0), ==,
                    0x77);
    vfio_run_end(&run);
}

/* What the host does not let be mapped traps: each access is a system call */
static void test_unmapped_bar(void)
{
    VfioRun run;

    if (!vfio_run_device(&run, ADDRESS " bar0=128K,mem64,nommap bar2=128K "
                         "msix=22 table=2:0 pba=2:0x10000", "")) {
        return;
    }
    vfio_device_write(run.dev, 0, 0x1000, 1);
    vfio_device_read(run.dev, 0, 0x1000);
    vfio_device_read(run.dev, 0, 0x1000);
    g_assert_cmpint(trapped(run.qts, 0x1000, "writes"), ==, 1);
    g_assert_cmpint(trapped(run.qts, 0x1000, "reads"), ==, 2);
    assert_trapped_sum(run.qts, 3);
    g_assert_cmpuint(vfio_host_status(run.host, ADDRESS ".bar0.writes"), ==, 1);
    g_assert_cmpuint(vfio_host_status(run.host, ADDRESS ".bar0.reads"), ==, 2);
    vfio_run_end(&run);
}

/* QEMU emulates two registers of a RTL8168 at 0x70: their page traps */
static void test_quirk(void)
{
    VfioRun run;

    if (!vfio_run_device(&run, "page-size=4K\n" ADDRESS " id=10ec:8168 "
                         "bar0=256,io bar2=64K,mem64 bar4=16K,mem64 msix=4 "
                         "table=4:0 pba=4:0x1000", "")) {
        return;
    }
    g_assert_cmpint(trapped_in(run.qts, 2, 0, "writes"), ==, 0);
    g_assert_cmpint(trapped_in(run.qts, 2, 0x1000, "writes"), ==, -1);
    vfio_device_write(run.dev, 2, 0x10, 1);
    vfio_device_write(run.dev, 2, 0x70, 0);
    vfio_device_write(run.dev, 2, 0x1000, 1);
    g_assert_cmpint(trapped_in(run.qts, 2, 0, "writes"), ==, 2);
    g_assert_cmphex(vfio_host_read(run.host, ADDRESS, 2, 0x10), ==, 1);
    vfio_run_end(&run);
}

/* 8 bytes at once are one access, though the table takes 4 at a time */
static void test_wide(void)
{
    uint64_t table;
    VfioRun run;

    if (!vfio_run_device(&run, ADDRESS NVME, "")) {
        return;
    }
    table = run.dev->bar[0].address + TABLE_AT;
    qtest_writeq(run.qts, table, 0x12345678fee00000);
    g_assert_cmpint(trapped(run.qts, TABLE_AT, "writes"), ==, 1);
    g_assert_cmphex(vfio_device_read(run.dev, 0, TABLE_AT), ==, 0xfee00000);
    g_assert_cmphex(vfio_device_read(run.dev, 0, TABLE_AT + 4), ==,
                    0x12345678);
    g_assert_cmphex(qtest_readq(run.qts, table), ==, 0x12345678fee00000);
    g_assert_cmpint(trapped(run.qts, TABLE_AT, "reads"), ==, 3);
    /* Registers beside it */
    qtest_writeq(run.qts, table + 0xff0, 0x1122334455667788);
    g_assert_cmpint(trapped(run.qts, TABLE_AT, "writes"), ==, 2);
    g_assert_cmphex(vfio_host_read(run.host, ADDRESS, 0, TABLE_AT + 0xff4), ==,
                    0x11223344);
    vfio_run_end(&run);
}

static QDict *expect_shared(VfioRun *run, int64_t accesses)
{
    QDict *info = vfio_query(run->qts, "dev");

    g_assert_cmpint(qdict_get_int(info, "shared-accesses"), ==, accesses);
    return info;
}

#define WIFI "page-size=4K\n" ADDRESS " class=028000 bar0=16K,mem64 msix=16 " \
             "table=0:0x2000 pba=0:0x3000"

/* Registers in the table's page, which no specification tells of */
static void test_shared(void)
{
    const char *reason;
    QDict *info;
    VfioRun run;

    if (!vfio_run_device(&run, WIFI, ",x-msix-relocation=auto")) {
        return;
    }
    info = expect_shared(&run, 0);
    g_assert_cmpstr(qdict_get_str(info, "reason"), ==, "no other registers "
                    "are known in the host pages of table and PBA");
    qobject_unref(info);
    vfio_device_write(run.dev, 0, 0x2000, 1);
    vfio_device_write(run.dev, 0, 0x1000, 1);
    qobject_unref(expect_shared(&run, 0));
    vfio_device_write(run.dev, 0, 0x2808, 1);
    vfio_device_write(run.dev, 0, 0x2800, 1);
    vfio_device_read(run.dev, 0, 0x2800);
    info = expect_shared(&run, 3);
    reason = qdict_get_str(info, "reason");
    g_test_message("%s", reason);
    g_assert_nonnull(strstr(reason, "3 times, first at 0x2808 of BAR 0"));
    g_assert_nonnull(strstr(reason, "x-msix-relocation=bar2 would end that"));
    qobject_unref(info);
    vfio_run_end(&run);

    g_assert_true(vfio_run_device(&run, WIFI, ",x-msix-relocation=bar2"));
    vfio_device_write(run.dev, 0, 0x2800, 1);
    qobject_unref(expect_shared(&run, 0));
    g_assert_cmphex(vfio_host_read(run.host, ADDRESS, 0, 0x2800), ==, 1);
    vfio_run_end(&run);
}

/* The PBA traps while a masked vector is pending, and is listed then */
static void test_pba_page(void)
{
    VfioRun run;

    if (!vfio_run_device(&run, ADDRESS NVME, "")) {
        return;
    }
    vfio_device_msix_enable(run.dev);
    vfio_device_set_vector(run.dev, 0, vfio_device_mailbox(0), 1);
    vfio_device_mask(run.dev, 0, false);
    vfio_device_mask(run.dev, 0, true);
    g_assert_cmpint(trapped(run.qts, 0x30000, "reads"), ==, -1);
    vfio_host_fire(run.host, ADDRESS, 0);
    for (int i = 0; trapped(run.qts, 0x30000, "reads") < 0 && i < 60000; i++) {
        g_usleep(1000);
    }
    g_assert_cmpint(trapped(run.qts, 0x30000, "reads"), ==, 0);
    g_assert_true(vfio_device_pending(run.dev, 0));
    g_assert_cmpint(trapped(run.qts, 0x30000, "reads"), >, 0);
    vfio_device_mask(run.dev, 0, false);
    /* It has trapped, which is still told */
    g_assert_cmpint(trapped(run.qts, 0x30000, "reads"), >, 0);
    vfio_run_end(&run);
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
    qtest_add_func("/vfio-query/quirk", test_quirk);
    qtest_add_func("/vfio-query/wide", test_wide);
    qtest_add_func("/vfio-query/shared", test_shared);
    qtest_add_func("/vfio-query/pba-page", test_pba_page);
    qtest_add_func("/vfio-query/siblings", test_siblings);

    return g_test_run();
}
