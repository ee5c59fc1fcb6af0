/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A QD1 loop on null-co through a virtio-blk device whose IOThread polls
 *
 * Runs with any qemu-system-x86_64, also a stock one, so that two can be
 * compared (scripts/measure-cost).  This process is guest and spins on one CPU,
 * the IOThread spins on another.  Prints: requests, nanoseconds.
 */
#include "qemu/osdep.h"
#include <sched.h>
#include <sys/mman.h>
#include "libqtest.h"
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "vblk.h"

#define RAM_SIZE (128 * MiB)
#define TIMEOUT_US (60 * G_USEC_PER_SEC)

static uint64_t requests = 100000;
static gint64 poll_max_ns = 1000000000;

static void pin(pid_t tid, int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(tid, sizeof(set), &set);  /* best effort */
}

static pid_t iothread_tid(QTestState *qts)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-iothreads' }");
    QList *list = qdict_get_qlist(rsp, "return");
    pid_t tid = qdict_get_int(qobject_to(QDict, qlist_peek(list)), "thread-id");

    qobject_unref(rsp);
    return tid;
}

static QTestState *start(int ram_fd)
{
    return qtest_initf("-machine pc,memory-backend=ram -m 128 -object "
                       "memory-backend-file,id=ram,size=128M,share=on,"
                       "mem-path=/proc/%d/fd/%d "
                       "-object iothread,id=io0,poll-max-ns=0 "
                       "-blockdev driver=null-co,node-name=disk "
                       "-device virtio-blk-pci,drive=disk,iothread=io0,addr=4",
                       getpid(), ram_fd);
}

/* The first kicks make the polling time grow; then the device polls for good */
static void warm_up(QTestState *qts, VBlk *blk, void *ram)
{
    /*
     * Both poll alike: what another policy decides under callgrind, which is
     * slow, is no cost of the statistics.  Stock has no such property.
     */
    qobject_unref(qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': {"
                            "'path': '/objects/io0', 'property': "
                            "'poll-policy', 'value': 'classic' } }"));
    for (int i = 0; i < 100; i++) {
        vblk_read(blk, 1);
    }
    qtest_qmp_assert_success(qts, "{ 'execute': 'qom-set', 'arguments': {"
                             "'path': '/objects/io0', 'property': "
                             "'poll-max-ns', 'value': %" PRId64 "}}",
                             poll_max_ns);
    vblk_run(blk, ram, 200, TIMEOUT_US);
}

static void parse(int argc, char **argv)
{
    gint64 n = requests;
    GOptionEntry entries[] = {
        { "requests", 'n', 0, G_OPTION_ARG_INT64, &n,
          "Requests to run (default 100000)", "N" },
        { "poll-max-ns", 'p', 0, G_OPTION_ARG_INT64, &poll_max_ns,
          "The IOThread's poll-max-ns (default 2 s)", "NS" },
        { }
    };
    GOptionContext *ctx = g_option_context_new("- QD1 loop on null-co");
    g_autoptr(GError) err = NULL;

    g_option_context_add_main_entries(ctx, entries, NULL);
    if (!g_option_context_parse(ctx, &argc, &argv, &err) || n < 1) {
        g_printerr("iothread-cost: %s\n",
                   err ? err->message : "--requests must be 1 or more");
        exit(1);
    }
    requests = n;
    g_option_context_free(ctx);
}

int main(int argc, char **argv)
{
    int fd = memfd_create("guest-ram", 0);
    QTestState *qts;
    VBlk *blk;
    void *ram;
    gint64 begin;
    uint64_t done;

    parse(argc, argv);
    g_assert_cmpint(ftruncate(fd, RAM_SIZE), ==, 0);
    ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert_true(ram != MAP_FAILED);

    qts = start(fd);
    pin(0, 0);
    pin(iothread_tid(qts), 1);
    blk = vblk_new(qts);

    warm_up(qts, blk, ram);
    begin = g_get_monotonic_time();
    done = vblk_run(blk, ram, requests, TIMEOUT_US);
    printf("%" PRIu64 " %" PRId64 "\n", done,
           (g_get_monotonic_time() - begin) * 1000);
    vblk_free(blk);
    qtest_quit(qts);
    return done == requests ? 0 : 1;
}
