/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * cpu-affinity and thread-context of IOThreads, against what the kernel says
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "../common/host-affinity.h"
#include "libqtest.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "qsd.h"
#include "../common/start-fails.h"

#define IO0 "/objects/io0"
#define SANDBOX "-sandbox on,resourcecontrol=deny "

static QDict *find_iothread(QDict *rsp, const char *id)
{
    const QListEntry *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), entry) {
        QDict *info = qobject_to(QDict, qlist_entry_obj(entry));

        if (g_str_equal(qdict_get_str(info, "id"), id)) {
            return info;
        }
    }
    g_assert_not_reached();
}

static pid_t thread_of(QTestState *qts, const char *id)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-iothreads' }");
    pid_t tid = qdict_get_int(find_iothread(rsp, id), "thread-id");

    qobject_unref(rsp);
    return tid;
}

/* What kernel, qom-get and query-iothreads agree on */
static unsigned affinity(QTestState *qts, const char *id)
{
    unsigned mask = kernel_mask(thread_of(qts, id));
    g_autofree char *path = g_strdup_printf("/objects/%s", id);
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                           "'path': %s, 'property': 'cpu-affinity' }}", path);

    g_assert_cmphex(list_mask(qdict_get_qlist(rsp, "return")), ==, mask);
    qobject_unref(rsp);

    rsp = qtest_qmp(qts, "{ 'execute': 'query-iothreads' }");
    g_assert_cmphex(list_mask(qdict_get_qlist(find_iothread(rsp, id),
                                              "cpu-affinity")), ==, mask);
    qobject_unref(rsp);
    return mask;
}

static QDict *set(QTestState *qts, const char *json)
{
    return qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': { 'path': %s, "
                     "'property': 'cpu-affinity', 'value': %p }}", IO0,
                     qobject_from_json(json, &error_abort));
}

static void set_mask(QTestState *qts, unsigned mask)
{
    g_autofree char *json = mask == 3 ?
        g_strdup_printf("[%u, %u]", cpus[1], cpus[0]) :
        g_strdup_printf("[%u]", cpus[mask - 1]);
    QDict *rsp = set(qts, json);

    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
    g_assert_cmphex(affinity(qts, "io0"), ==, mask);
}

/* Asserts that the error has the words of @expected, separated by '|' */
static void assert_words(const char *text, const char *expected)
{
    g_auto(GStrv) words = g_strsplit(expected, "|", -1);

    for (char **word = words; *word; word++) {
        if (!strstr(text, *word)) {
            g_error("'%s' is not in: %s", *word, text);
        }
    }
}

static void refuse(QTestState *qts, const char *json, const char *expected)
{
    unsigned before = affinity(qts, "io0");
    QDict *rsp = set(qts, json);
    QDict *error = qdict_get_qdict(rsp, "error");

    g_assert_nonnull(error);
    assert_words(qdict_get_str(error, "desc"), expected);
    qobject_unref(rsp);
    g_assert_cmphex(affinity(qts, "io0"), ==, before);
}

static void test_start(void)
{
    QTestState *qts = qtest_initf("-machine none "
        "-object iothread,id=io0,cpu-affinity=%u "
        "-object iothread,id=io1,cpu-affinity=%u,cpu-affinity=%u "
        "-object iothread,id=io2,cpu-affinity=%u-%u "
        "-object '{\"qom-type\": \"iothread\", \"id\": \"io3\", "
        "\"cpu-affinity\": [%u]}' "
        "-object thread-context,id=tc,cpu-affinity=%u "
        "-object iothread,id=io4,thread-context=tc "
        "-object iothread,id=io5 ",
        cpus[1], cpus[1], cpus[0], cpus[0], cpus[0], cpus[0], cpus[1]);

    g_assert_cmphex(affinity(qts, "io0"), ==, 2);
    g_assert_cmphex(affinity(qts, "io1"), ==, 3);
    g_assert_cmphex(affinity(qts, "io2"), ==, 1);
    g_assert_cmphex(affinity(qts, "io3"), ==, 1);
    g_assert_cmphex(affinity(qts, "io4"), ==, 2);
    /* Nothing asked for: as the process is */
    g_assert_cmphex(affinity(qts, "io5"), ==, kernel_mask(0));
    qtest_quit(qts);
}

static void test_run_time(void)
{
    QTestState *qts = qtest_init("-machine none -object iothread,id=io0");
    cpu_set_t outside;

    set_mask(qts, 1);
    set_mask(qts, 2);
    set_mask(qts, 3);

    /* As taskset or libvirt does it */
    CPU_ZERO(&outside);
    CPU_SET(cpus[0], &outside);
    g_assert_cmpint(sched_setaffinity(thread_of(qts, "io0"), sizeof(outside),
                                      &outside), ==, 0);
    g_assert_cmphex(affinity(qts, "io0"), ==, 1);
    qtest_quit(qts);
}

static void test_errors(void)
{
    QTestState *qts = qtest_init("-machine none -object iothread,id=io0 "
                                 "-object thread-context,id=tc");
    g_autofree char *mixed = g_strdup_printf("[%u, 65535]", cpus[0]);
    g_autofree char *range = g_strdup_printf("iothread.cpu-affinity|65535|%u",
                                             cpus[0]);
    QDict *rsp;

    set_mask(qts, 2);
    refuse(qts, "[]", "iothread.cpu-affinity|empty");
    refuse(qts, "[65535]", range);
    refuse(qts, mixed, range);
    refuse(qts, "[65536]", "iothread.cpu-affinity|65536|0 to 65535");
    refuse(qts, "[-1]", "iothread.cpu-affinity|-1|0 to 65535");
    refuse(qts, "['0']", "iothread.cpu-affinity");
    refuse(qts, "0", "iothread.cpu-affinity");
    refuse(qts, "null", "iothread.cpu-affinity");

    rsp = qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': { 'path': %s, "
                    "'property': 'thread-context', 'value': 'tc' }}", IO0);
    assert_words(qdict_get_str(qdict_get_qdict(rsp, "error"), "desc"),
                 "iothread.thread-context|created");
    qobject_unref(rsp);
    qtest_quit(qts);
}

static void test_start_errors(void)
{
    g_autofree char *absent = start_fails(
        "-machine none -object iothread,id=io0,cpu-affinity=65535");
    g_autofree char *empty = start_fails(
        "-machine none -object '{\"qom-type\": \"iothread\", \"id\": \"io0\", "
        "\"cpu-affinity\": []}'");
    g_autofree char *none = start_fails(
        "-machine none -object iothread,id=io0,thread-context=none");

    assert_words(absent, "iothread.cpu-affinity|65535|allows");
    assert_words(empty, "iothread.cpu-affinity|empty");
    assert_words(none, "'none' not found");
}

static bool have_sandbox(void)
{
    g_autofree char *text = start_fails("-machine none " SANDBOX
                                        "-object iothread");

    return !strstr(text, "sandbox");
}

static void test_sandbox(void)
{
    g_autofree char *refusal = NULL;
    QTestState *qts;

    if (!have_sandbox()) {
        g_test_skip("this build or host kernel lacks -sandbox");
        return;
    }
    refusal = start_fails("-machine none " SANDBOX
                          "-object iothread,id=io0,cpu-affinity=0");
    assert_words(refusal, "iothread.cpu-affinity|thread-context|sandbox");

    /* The context may come later on the command line */
    qts = qtest_initf(SANDBOX "-machine none "
                      "-object iothread,id=io0,thread-context=tc "
                      "-object thread-context,id=tc,cpu-affinity=%u", cpus[1]);
    g_assert_cmphex(affinity(qts, "io0"), ==, 2);
    refuse(qts, "[0]", "iothread.cpu-affinity|sandbox");
    g_assert_cmphex(affinity(qts, "io0"), ==, 2);
    qtest_quit(qts);
}

static unsigned qsd_affinity(Qsd *qsd, const char *path)
{
    QDict *rsp = qsd_qmp(qsd, "{ 'execute': 'qom-get', 'arguments': {"
                         "'path': %s, 'property': 'cpu-affinity' }}", path);
    unsigned mask = list_mask(qdict_get_qlist(rsp, "return"));

    qobject_unref(rsp);
    return mask;
}

static void test_storage_daemon(void)
{
    g_autofree char *args = g_strdup_printf(
        "--object iothread,id=io0,cpu-affinity.0=%u,cpu-affinity.1=%u "
        "--object thread-context,id=tc,cpu-affinity.0=%u "
        "--object iothread,id=io1,thread-context=tc",
        cpus[0], cpus[1], cpus[1]);
    QDict *rsp;
    Qsd *qsd;

    if (!qsd_available()) {
        g_test_skip("no qemu-storage-daemon in "
                    "QTEST_QEMU_STORAGE_DAEMON_BINARY");
        return;
    }
    qsd = qsd_start(args);
    g_assert_cmphex(qsd_affinity(qsd, IO0), ==, 3);
    g_assert_cmphex(qsd_affinity(qsd, "/objects/io1"), ==, 2);
    rsp = qsd_qmp(qsd, "{ 'execute': 'qom-set', 'arguments': { 'path': %s, "
                  "'property': 'cpu-affinity', 'value': [%u] }}", IO0, cpus[0]);
    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
    g_assert_cmphex(qsd_affinity(qsd, IO0), ==, 1);
    qsd_quit(qsd);
}

static void test_skipped(void)
{
    g_test_skip("needs two CPUs");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    if (!find_cpus()) {
        qtest_add_func("iothread-affinity", test_skipped);
        return g_test_run();
    }
    qtest_add_func("iothread-affinity/start", test_start);
    qtest_add_func("iothread-affinity/start-errors", test_start_errors);
    qtest_add_func("iothread-affinity/run-time", test_run_time);
    qtest_add_func("iothread-affinity/errors", test_errors);
    qtest_add_func("iothread-affinity/sandbox", test_sandbox);
    qtest_add_func("iothread-affinity/storage-daemon", test_storage_daemon);
    return g_test_run();
}
