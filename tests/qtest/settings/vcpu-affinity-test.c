/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * vcpu-affinity of machines and cpu-affinity of vCPUs, against what the kernel
 * says
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "../common/host-affinity.h"
#include "libqtest.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "../common/start-fails.h"

#define MACHINE "-nodefaults -display none -M q35 "
#define LOOPS 200

typedef struct Vcpu {
    pid_t tid;
    char *path;
    unsigned mask;              /* as query-cpus-fast has it */
} Vcpu;

static Vcpu find_vcpu(QTestState *qts, int index)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-cpus-fast' }");
    const QListEntry *entry;
    Vcpu vcpu = { };

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), entry) {
        QDict *info = qobject_to(QDict, qlist_entry_obj(entry));

        if (qdict_get_int(info, "cpu-index") == index) {
            vcpu.tid = qdict_get_int(info, "thread-id");
            vcpu.path = g_strdup(qdict_get_str(info, "qom-path"));
            vcpu.mask = list_mask(qdict_get_qlist(info, "cpu-affinity"));
        }
    }
    qobject_unref(rsp);
    g_assert_nonnull(vcpu.path);
    return vcpu;
}

/* What kernel, qom-get and query-cpus-fast agree on */
static unsigned affinity(QTestState *qts, int index)
{
    Vcpu vcpu = find_vcpu(qts, index);
    g_autofree char *path = vcpu.path;
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                           "'path': %s, 'property': 'cpu-affinity' }}", path);
    unsigned mask = kernel_mask(vcpu.tid);

    g_assert_cmphex(list_mask(qdict_get_qlist(rsp, "return")), ==, mask);
    g_assert_cmphex(vcpu.mask, ==, mask);
    qobject_unref(rsp);
    return mask;
}

static QDict *set(QTestState *qts, int index, const char *json)
{
    Vcpu vcpu = find_vcpu(qts, index);
    g_autofree char *path = vcpu.path;

    return qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': { 'path': %s, "
                     "'property': 'cpu-affinity', 'value': %p }}", path,
                     qobject_from_json(json, &error_abort));
}

static void set_mask(QTestState *qts, int index, unsigned mask)
{
    g_autofree char *json = mask == 3 ?
        g_strdup_printf("[%u, %u]", cpus[1], cpus[0]) :
        g_strdup_printf("[%u]", cpus[mask - 1]);
    QDict *rsp = set(qts, index, json);

    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
    g_assert_cmphex(affinity(qts, index), ==, mask);
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

static void assert_error(QDict *rsp, const char *expected)
{
    QDict *error = qdict_get_qdict(rsp, "error");

    g_assert_nonnull(error);
    assert_words(qdict_get_str(error, "desc"), expected);
    qobject_unref(rsp);
}

static void refuse(QTestState *qts, int index, const char *json,
                   const char *expected)
{
    unsigned before = affinity(qts, index);

    assert_error(set(qts, index, json), expected);
    g_assert_cmphex(affinity(qts, index), ==, before);
}

static void test_start(void)
{
    QTestState *qts = qtest_initf(
        MACHINE "-smp 3 -machine vcpu-affinity.0.vcpu=2,"
        "vcpu-affinity.0.host-cpus.0=%u,vcpu-affinity.1.vcpu=0,"
        "vcpu-affinity.1.host-cpus.0=%u,vcpu-affinity.1.host-cpus.1=%u",
        cpus[1], cpus[0], cpus[1]);
    QDict *rsp;

    g_assert_cmphex(affinity(qts, 0), ==, 3);
    g_assert_cmphex(affinity(qts, 2), ==, 2);
    /* Nothing asked for: as the process is */
    g_assert_cmphex(affinity(qts, 1), ==, kernel_mask(0));

    rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': { 'path': "
                    "'/machine', 'property': 'vcpu-affinity' }}");
    g_assert_cmpint(qlist_size(qdict_get_qlist(rsp, "return")), ==, 2);
    qobject_unref(rsp);
    qtest_quit(qts);
}

static void test_run_time(void)
{
    QTestState *qts = qtest_init(MACHINE "-smp 2");
    g_autofree char *path = NULL;
    cpu_set_t outside;
    Vcpu vcpu;

    set_mask(qts, 1, 1);
    set_mask(qts, 0, 2);
    set_mask(qts, 1, 2);
    qtest_qmp_assert_success(qts, "{ 'execute': 'system_reset' }");
    qtest_qmp_eventwait(qts, "RESET");
    g_assert_cmphex(affinity(qts, 0), ==, 2);
    g_assert_cmphex(affinity(qts, 1), ==, 2);

    /* As taskset or libvirt does it */
    CPU_ZERO(&outside);
    CPU_SET(cpus[0], &outside);
    vcpu = find_vcpu(qts, 1);
    path = vcpu.path;
    g_assert_cmpint(sched_setaffinity(vcpu.tid, sizeof(outside), &outside),
                    ==, 0);
    g_assert_cmphex(affinity(qts, 1), ==, 1);
    g_assert_cmphex(affinity(qts, 0), ==, 2);
    qtest_quit(qts);
}

static void test_hotplug(void)
{
    QTestState *qts = qtest_initf(
        MACHINE "-cpu qemu64 -smp 1,sockets=2,maxcpus=2 "
        "-machine vcpu-affinity.0.vcpu=1,"
        "vcpu-affinity.0.host-cpus.0=%u", cpus[1]);

    g_assert_cmphex(affinity(qts, 0), ==, kernel_mask(0));
    qtest_qmp_device_add(qts, "qemu64-x86_64-cpu", "cpu1", "{'socket-id': 1, "
                         "'die-id': 0, 'module-id': 0, 'core-id': 0, "
                         "'thread-id': 0}");
    g_assert_cmphex(affinity(qts, 1), ==, 2);
    qtest_quit(qts);
}

static void test_errors(void)
{
    QTestState *qts = qtest_init(MACHINE "-smp 2");
    g_autofree char *mixed = g_strdup_printf("[%u, 65535]", cpus[0]);
    g_autofree char *range = g_strdup_printf("cpu.cpu-affinity|65535|%u",
                                             cpus[0]);

    set_mask(qts, 1, 2);
    refuse(qts, 1, "[]", "cpu.cpu-affinity|empty");
    refuse(qts, 1, "[65535]", range);
    refuse(qts, 1, mixed, range);
    refuse(qts, 1, "[65536]", "cpu.cpu-affinity|65536|0 to 65535");
    refuse(qts, 1, "[-1]", "cpu.cpu-affinity|-1|0 to 65535");
    refuse(qts, 1, "['0']", "cpu.cpu-affinity");
    refuse(qts, 1, "0", "cpu.cpu-affinity");
    assert_error(qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': {"
                           "'path': '/machine', 'property': 'vcpu-affinity', "
                           "'value': [] }}"),
                 "machine.vcpu-affinity|start|cpu-affinity");
    g_assert_cmphex(affinity(qts, 1), ==, 2);
    qtest_quit(qts);
}

static void refuse_start(const char *args, const char *words)
{
    g_autofree char *line = g_strdup_printf(MACHINE "%s", args);
    g_autofree char *text = start_fails(line);

    assert_words(text, words);
    g_assert_true(strchr(text, '\n') == text + strlen(text) - 1);
}

#define ENTRY(n, vcpu, cpu) \
    "vcpu-affinity." n ".vcpu=" vcpu ",vcpu-affinity." n ".host-cpus.0=" cpu

static void test_start_errors(void)
{
    g_autofree char *first = g_strdup_printf("%u", cpus[0]);
    g_autofree char *beyond = g_strdup_printf(
        "-accel qtest -smp 2 -machine " ENTRY("0", "2", "%u"), cpus[0]);
    g_autofree char *twice = g_strdup_printf(
        "-accel qtest -smp 2 -machine " ENTRY("0", "1", "%u") ","
        ENTRY("1", "1", "%u"), cpus[0], cpus[1]);
    g_autofree char *single = g_strdup_printf(
        "-accel tcg,thread=single -smp 2 -machine " ENTRY("0", "1", "%u"),
        cpus[0]);

    refuse_start(beyond, "machine.vcpu-affinity|vcpu 2 |0 to 1");
    refuse_start(twice, "machine.vcpu-affinity|vCPU 1 twice");
    refuse_start(single, "machine.vcpu-affinity|vCPU 1 |thread=multi");
    refuse_start("-accel qtest -machine " ENTRY("0", "0", "65535"),
                 "machine.vcpu-affinity|65535|allows");
    refuse_start("-accel qtest -machine vcpu-affinity.0.vcpu=0",
                 "machine.vcpu-affinity|host-cpus");
    refuse_start("-accel qtest -machine vcpu-affinity=0",
                 "machine.vcpu-affinity");
}

static void test_sandbox(void)
{
    g_autofree char *args = g_strdup_printf(
        "-accel qtest -sandbox on,resourcecontrol=deny -machine "
        ENTRY("0", "0", "%u"), cpus[0]);
    g_autofree char *probe = start_fails("-sandbox on -accel qtest -object x");
    QTestState *qts;

    if (strstr(probe, "sandbox")) {
        g_test_skip("this build or host kernel lacks -sandbox");
        return;
    }
    refuse_start(args, "machine.vcpu-affinity|sandbox|outside");
    qts = qtest_init(MACHINE "-sandbox on,resourcecontrol=deny");
    refuse(qts, 0, "[0]", "cpu.cpu-affinity|sandbox|outside");
    qtest_quit(qts);
}

static unsigned count_entries(pid_t pid, const char *what)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", pid, what);
    GDir *dir = g_dir_open(path, 0, NULL);
    unsigned n = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

/* Affinities of vCPU 0 and of an IOThread that comes and goes */
static void one_loop(QTestState *qts, unsigned loop)
{
    set_mask(qts, 0, 1 + loop % 3);
    qtest_qmp_assert_success(qts, "{ 'execute': 'object-add', 'arguments': {"
                             "'qom-type': 'iothread', 'id': 'io0', "
                             "'cpu-affinity': [ %u ] }}", cpus[loop % 2]);
    qtest_qmp_assert_success(qts, "{ 'execute': 'qom-set', 'arguments': {"
                             "'path': '/objects/io0', 'property': "
                             "'cpu-affinity', 'value': [ %u ] }}",
                             cpus[(loop + 1) % 2]);
    refuse(qts, 0, "[65535]", "cpu.cpu-affinity");
    qtest_qmp_assert_success(qts, "{ 'execute': 'object-del', 'arguments': {"
                             "'id': 'io0' }}");
}

static void test_no_leaks(void)
{
    QTestState *qts = qtest_init(MACHINE);
    pid_t pid = qtest_pid(qts);
    unsigned threads, fds;

    one_loop(qts, 0);
    threads = count_entries(pid, "task");
    fds = count_entries(pid, "fd");
    for (unsigned loop = 1; loop <= LOOPS; loop++) {
        one_loop(qts, loop);
    }
    g_assert_cmpuint(count_entries(pid, "task"), ==, threads);
    g_assert_cmpuint(count_entries(pid, "fd"), ==, fds);
    qtest_quit(qts);
}

/* Descriptions of CPU models are as ever */
static void test_model(void)
{
    QTestState *qts = qtest_init(MACHINE);
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-cpu-model-expansion', "
                           "'arguments': { 'type': 'full', 'model': {"
                           "'name': 'qemu64' } } }");
    QDict *model = qdict_get_qdict(qdict_get_qdict(rsp, "return"), "model");

    g_assert_true(qdict_haskey(qdict_get_qdict(model, "props"), "family"));
    g_assert_false(qdict_haskey(qdict_get_qdict(model, "props"),
                                "cpu-affinity"));
    qobject_unref(rsp);
    qtest_quit(qts);
}

static void test_skipped(void)
{
    g_test_skip("needs two CPUs");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("vcpu-affinity/model", test_model);
    if (!find_cpus()) {
        qtest_add_func("vcpu-affinity", test_skipped);
        return g_test_run();
    }
    qtest_add_func("vcpu-affinity/start", test_start);
    qtest_add_func("vcpu-affinity/run-time", test_run_time);
    qtest_add_func("vcpu-affinity/hotplug", test_hotplug);
    qtest_add_func("vcpu-affinity/errors", test_errors);
    qtest_add_func("vcpu-affinity/start-errors", test_start_errors);
    qtest_add_func("vcpu-affinity/sandbox", test_sandbox);
    qtest_add_func("vcpu-affinity/no-leaks", test_no_leaks);
    return g_test_run();
}
