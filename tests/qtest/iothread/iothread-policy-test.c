/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Polling policies: chosen and tuned while a disk is read at native speed by
 * another thread, shown everywhere, and gone with their IOThread
 */
#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/atomic.h"
#include "libqtest.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "../common/stats-query.h"
#include "vblk.h"

#define IO0 "/objects/io0"
#define RAM_SIZE (128 * 1024 * 1024)
#define TIMEOUT_US (60 * 1000 * 1000)

static const char *const policies[] = { "classic", "weighted", "predictive" };

static const struct {
    const char *name;
    int64_t initial;
    int64_t max;
} numbers[] = {
    { "poll-weight", 3, 63 },
    { "poll-latency-weight", 5, 1000 },
    { "poll-cpu-limit", 0, 100 },
};

static QTestState *start(const char *props)
{
    return qtest_initf("%s -object iothread,id=io0%s "
                       "-blockdev driver=null-co,read-zeroes=on,node-name=disk "
                       "-device virtio-blk-pci,drive=disk,iothread=io0,addr=4",
                       vblk_machine(), props);
}

static QDict *qom_get(QTestState *qts, const char *name)
{
    return qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                     "'path': " "'" IO0 "', 'property': %s }}", name);
}

static void assert_policy(QTestState *qts, const char *expected)
{
    QDict *rsp = qom_get(qts, "poll-policy");

    g_assert_cmpstr(qdict_get_str(rsp, "return"), ==, expected);
    qobject_unref(rsp);
}

static int64_t get(QTestState *qts, const char *name)
{
    QDict *rsp = qom_get(qts, name);
    int64_t value = qdict_get_int(rsp, "return");

    qobject_unref(rsp);
    return value;
}

static bool set(QTestState *qts, const char *name, int64_t value)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': {"
                           "'path': '" IO0 "', 'property': %s, 'value': %"
                           PRId64 "}}", name, value);
    bool ok = qdict_haskey(rsp, "return");

    qobject_unref(rsp);
    return ok;
}

static bool set_policy(QTestState *qts, const char *policy)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': {"
                           "'path': '" IO0 "', 'property': 'poll-policy', "
                           "'value': %s }}", policy);
    bool ok = qdict_haskey(rsp, "return");

    qobject_unref(rsp);
    return ok;
}

static QDict *query(QTestState *qts)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-iothreads' }");
    QList *list = qdict_get_qlist(rsp, "return");
    QDict *info = qobject_to(QDict, qlist_peek(list));

    qobject_ref(info);
    qobject_unref(rsp);
    return info;
}

static void test_defaults(void)
{
    QTestState *qts = start("");
    QDict *info = query(qts);

    assert_policy(qts, "predictive");
    g_assert_cmpstr(qdict_get_str(info, "poll-policy"), ==, "predictive");
    for (int i = 0; i < G_N_ELEMENTS(numbers); i++) {
        g_assert_cmpint(get(qts, numbers[i].name), ==, numbers[i].initial);
        g_assert_cmpint(qdict_get_int(info, numbers[i].name), ==,
                        numbers[i].initial);
    }
    qobject_unref(info);
    qtest_quit(qts);
}

static void test_command_line(void)
{
    QTestState *qts = start(",poll-policy=weighted,poll-weight=7,"
                            "poll-latency-weight=1000,poll-cpu-limit=25");
    QDict *info = query(qts);

    assert_policy(qts, "weighted");
    g_assert_cmpint(get(qts, "poll-weight"), ==, 7);
    g_assert_cmpint(get(qts, "poll-latency-weight"), ==, 1000);
    g_assert_cmpint(qdict_get_int(info, "poll-cpu-limit"), ==, 25);
    qobject_unref(info);
    qtest_quit(qts);
}

static void check_range(QTestState *qts, const char *name, int64_t max)
{
    g_assert_true(set(qts, name, max));
    g_assert_false(set(qts, name, max + 1));
    g_assert_false(set(qts, name, -1));
    g_assert_false(set(qts, name, INT64_MAX));
    g_assert_cmpint(get(qts, name), ==, max);
    g_assert_true(set(qts, name, 1));
    g_assert_cmpint(get(qts, name), ==, 1);
}

static void test_ranges(void)
{
    QTestState *qts = start("");

    for (int i = 0; i < G_N_ELEMENTS(numbers); i++) {
        check_range(qts, numbers[i].name, numbers[i].max);
    }
    g_assert_true(set(qts, "poll-weight", 0));
    g_assert_cmpint(get(qts, "poll-weight"), ==, 3);
    g_assert_false(set_policy(qts, "fastest"));
    g_assert_false(set_policy(qts, ""));
    assert_policy(qts, "predictive");
    qtest_quit(qts);
}

/* How much a statistic grows while the disk is read; a few loops may be late */
static uint64_t growth(QTestState *qts, VBlk *blk, const char *name)
{
    uint64_t before;

    vblk_read(blk, 32);
    before = stats_counter(qts, IO0, name);
    for (int n = 0; n < 300; n++) {
        vblk_read(blk, 1 + n % 4);
    }
    return stats_counter(qts, IO0, name) - before;
}

/* The statistics show what was set, and the event loop acts upon it */
static void test_in_force(void)
{
    QTestState *qts = start("");
    VBlk *blk = vblk_new(qts);

    for (int i = 0; i < G_N_ELEMENTS(policies); i++) {
        bool predictive = g_str_equal(policies[i], "predictive");

        g_assert_true(set_policy(qts, policies[i]));
        g_assert_true(set(qts, "poll-latency-weight", 100 + i));
        g_assert_true(set(qts, "poll-max-ns", 10000 + i));
        g_assert_cmpuint(stats_counter(qts, IO0, "poll-policy"), ==, i);
        g_assert_cmpuint(stats_counter(qts, IO0, "poll-latency-weight"), ==,
                         100 + i);
        g_assert_cmpuint(stats_counter(qts, IO0, "poll-max-ns"), ==, 10000 + i);
        /* Only that policy plans, from the next iteration of the loop on */
        g_assert_true(!growth(qts, blk, "plans") == !predictive);

        g_assert_true(set(qts, "poll-max-ns", 0));
        g_assert_cmpuint(growth(qts, blk, "poll-hits"), ==, 0);
        g_assert_cmpuint(stats_counter(qts, IO0, "poll-current"), ==, 0);
    }
    vblk_free(blk);
    qtest_quit(qts);
}

typedef struct Load {
    VBlk *blk;
    void *ram;
    uint64_t wanted;
    uint64_t done;
    bool ended;
} Load;

static gpointer load_run(gpointer opaque)
{
    enum { PART = 1000 };
    Load *load = opaque;
    uint64_t done;

    /* The deadline is for a request that is lost, not for a busy machine */
    do {
        done = vblk_run(load->blk, load->ram, PART, TIMEOUT_US);
        load->done += done;
    } while (done == PART && load->done < load->wanted);
    qatomic_set(&load->ended, true);
    return NULL;
}

static void set_anything(QTestState *qts, GRand *rand)
{
    int i = g_rand_int_range(rand, 0, G_N_ELEMENTS(numbers) + 4);

    switch (i) {
    case 0:
        set_policy(qts, policies[g_rand_int_range(rand, 0, 3)]);
        break;
    case 1:
        set(qts, "poll-max-ns", g_rand_int_range(rand, 0, 100000));
        break;
    case 2:
        set(qts, "poll-grow", g_rand_int_range(rand, 0, 20));
        break;
    case 3:
        set(qts, "aio-max-batch", g_rand_int_range(rand, 0, 64));
        break;
    default:
        set(qts, numbers[i - 4].name,
            g_rand_int_range(rand, 0, numbers[i - 4].max + 1));
    }
}

/* I/O by one thread, parameters and queries by another */
static void test_race(void)
{
    int fd = memfd_create("guest-ram", 0);
    GRand *rand = g_rand_new_with_seed(g_test_rand_int());
    Load load = { .wanted = 30000 };
    GThread *thread;
    QTestState *qts;

    g_assert_cmpint(ftruncate(fd, RAM_SIZE), ==, 0);
    load.ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert_true(load.ram != MAP_FAILED);
    qts = qtest_initf("-machine pc,memory-backend=ram -m 128 -object "
                      "memory-backend-file,id=ram,size=128M,share=on,"
                      "mem-path=/proc/%d/fd/%d -object iothread,id=io0 "
                      "-blockdev driver=null-co,node-name=disk "
                      "-device virtio-blk-pci,drive=disk,iothread=io0,addr=4",
                      getpid(), fd);
    load.blk = vblk_new(qts);
    thread = g_thread_new("load", load_run, &load);
    while (!qatomic_read(&load.ended)) {
        set_anything(qts, rand);
        qobject_unref(query(qts));
        stats_counter(qts, IO0, "timed-sleeps");
    }
    g_thread_join(thread);
    g_assert_cmpuint(load.done, ==, load.wanted);

    vblk_free(load.blk);
    qtest_quit(qts);
    munmap(load.ram, RAM_SIZE);
    close(fd);
    g_rand_free(rand);
}

/* Deleting the object joins the thread, which must not go on polling */
static void test_delete_while_polling(void)
{
    QTestState *qts = qtest_init("-machine none");

    for (int i = 0; i < G_N_ELEMENTS(policies); i++) {
        qtest_qmp_assert_success(qts, "{ 'execute': 'object-add', 'arguments':"
                                 "{ 'qom-type': 'iothread', 'id': 'io0',"
                                 "'poll-max-ns': 1000000000,"
                                 "'poll-policy': %s }}", policies[i]);
        /* Each of them is an event to the thread, so that polling pays */
        for (int n = 0; n < 200; n++) {
            g_assert_true(set(qts, "aio-max-batch", n % 8));
        }
        qtest_qmp_assert_success(qts, "{ 'execute': 'object-del', "
                                 "'arguments': { 'id': 'io0' }}");
    }
    qtest_quit(qts);
}

/* Time polled in vain stays within the limit, and what it saves up: 100 ms */
static void test_cpu_limit(void)
{
    QTestState *qts = start(",poll-policy=classic,poll-max-ns=1000000,"
                            "poll-grow=1000,poll-shrink=1,poll-cpu-limit=1");
    VBlk *blk = vblk_new(qts);
    int64_t begin = g_get_monotonic_time();
    int64_t budget;

    for (int i = 0; i < 200; i++) {
        vblk_read(blk, 1);
        g_usleep(3000);     /* longer than it polls */
    }
    budget = (g_get_monotonic_time() - begin) * 10 + 1000000;
    /* The last poll before the budget is known to be gone may run over */
    g_assert_cmpint(stats_counter(qts, IO0, "poll-miss-time"), <,
                    budget + 2000000);
    vblk_free(blk);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/iothread-policy/defaults", test_defaults);
    qtest_add_func("/iothread-policy/command-line", test_command_line);
    qtest_add_func("/iothread-policy/ranges", test_ranges);
    qtest_add_func("/iothread-policy/in-force", test_in_force);
    qtest_add_func("/iothread-policy/cpu-limit", test_cpu_limit);
    qtest_add_func("/iothread-policy/delete-while-polling",
                   test_delete_while_polling);
    if (g_str_equal(qtest_get_arch(), "x86_64")) {
        qtest_add_func("/iothread-policy/race", test_race);
    }
    return g_test_run();
}
