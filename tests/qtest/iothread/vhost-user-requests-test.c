/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What is taken away from a vhost-user-blk export of qemu-storage-daemon, it
 * gives up when its requests have ended; and a ring that it finds as a killed
 * process has left it, it takes back
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qsd.h"
#include "vu-client.h"

#define SLOW ",latency-ns=200000000"
/* A request has begun by then; if it has not, the test tests less */
#define BEGIN_US 20000
#define DEADLINE (60 * G_USEC_PER_SEC)

typedef struct Setup {
    Qsd *qsd;
    VuClient *client;
    char *folder;
    char *socket;
    char *args;
} Setup;

static void setup_start_export(Setup *s, gconstpointer event_idx,
                               const char *poll, const char *disk,
                               const char *export)
{
    s->folder = g_dir_make_tmp("nearmetal-XXXXXX", NULL);
    s->socket = g_strdup_printf("%s/vu", s->folder);
    s->args = g_strdup_printf(
        "--object iothread,id=io0,poll-policy=classic,poll-shrink=1,%s "
        "--blockdev null-co,node-name=disk,size=1048576,read-zeroes=on%s "
        "--export vhost-user-blk,id=export,node-name=disk,iothread=io0,"
        "writable=on,addr.type=unix,addr.path=%s%s", poll, disk, s->socket,
        export);
    s->qsd = qsd_start(s->args);
    s->client = vu_client_new(s->socket, event_idx != NULL);
}

static void setup_start(Setup *s, gconstpointer event_idx, const char *poll,
                        const char *disk)
{
    setup_start_export(s, event_idx, poll, disk, "");
}

static void setup_end(Setup *s)
{
    vu_client_free(s->client);
    qsd_quit(s->qsd);
    g_unlink(s->socket);
    g_assert_cmpint(g_rmdir(s->folder), ==, 0);
    g_free(s->args);
    g_free(s->socket);
    g_free(s->folder);
}

static void succeeds(QDict *rsp)
{
    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
}

static void read_blocks(Setup *s, int n)
{
    for (int i = 0; i < n; i++) {
        vu_client_read(s->client);
    }
}

/* Reads until the export polls so long that it needs no kick */
static void read_until_polled(Setup *s)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE;
    uint64_t kicks;

    do {
        kicks = vu_client_kicks(s->client);
        read_blocks(s, 100);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    } while (vu_client_kicks(s->client) != kicks);
}

/* Killed while it polls, it leaves "do not kick" in the ring */
static void test_killed_polling(gconstpointer event_idx)
{
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=500000000", "");
    for (int i = 0; i < 5; i++) {
        do {
            read_until_polled(&s);
            qsd_kill(s.qsd);
            s.qsd = qsd_start(s.args);
            if (vu_client_would_kick(s.client)) {
                /* A busy machine: it was not polling when it was killed */
                vu_client_connect_again(s.client, s.socket);
            }
        } while (vu_client_would_kick(s.client));
        vu_client_connect_again(s.client, s.socket);
        read_blocks(&s, 100);
    }
    setup_end(&s);
}

/* Kicks for @n pauses in which polling ends, with two requests after each */
static uint64_t kicks_of_pauses(Setup *s, int n, int poll_ms)
{
    uint64_t before = vu_client_kicks(s->client);

    for (int i = 0; i < n; i++) {
        g_usleep(2 * poll_ms * 1000);
        read_blocks(s, 2);
    }
    return vu_client_kicks(s->client) - before;
}

/*
 * Polled again after a pause, it is kicked once for the pause, not twice. On a
 * busy machine polling may end between the two requests as well; what kicks
 * twice does so in each round.
 */
static void test_begin_of_polling(gconstpointer event_idx)
{
    enum { N = 40, POLL_MS = 20, ROUNDS = 20 };
    Setup s;
    uint64_t kicks = UINT64_MAX;

    setup_start(&s, event_idx, "poll-max-ns=20000000", "");
    for (int i = 0; i < ROUNDS && kicks >= N + N / 2; i++) {
        read_until_polled(&s);
        kicks = kicks_of_pauses(&s, N, POLL_MS);
        g_test_message("%" PRIu64 " kicks for %d pauses", kicks, N);
    }
    g_assert_cmpuint(kicks, <, N + N / 2);
    setup_end(&s);
}

/* The reply to GET_VRING_BASE says that nothing is under way any more */
static void test_stop(gconstpointer event_idx)
{
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=0", SLOW);
    for (int i = 0; i < 5; i++) {
        vu_client_submit(s.client);
        g_usleep(BEGIN_US);
        vu_client_stop_begin(s.client);
        g_assert_cmpuint(vu_client_stop_end(s.client), ==,
                         vu_client_done(s.client));
        vu_client_start(s.client);
    }
    read_blocks(&s, 1);
    setup_end(&s);
}

/* Drained meanwhile: stopping and draining do not wait for each other */
static void test_stop_and_drain(gconstpointer event_idx)
{
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=0", SLOW);
    for (int i = 0; i < 5; i++) {
        vu_client_submit(s.client);
        g_usleep(BEGIN_US);
        vu_client_stop_begin(s.client);
        succeeds(qsd_qmp(s.qsd, "{ 'execute': 'blockdev-reopen', "
                "'arguments': { 'options': [{ 'driver': 'null-co', "
                "'size': 1048576, 'node-name': 'disk',"
                " 'latency-ns': 200000000, 'read-zeroes': true }] }}"));
        g_assert_cmpuint(vu_client_stop_end(s.client), ==,
                         vu_client_done(s.client));
        vu_client_start(s.client);
    }
    read_blocks(&s, 1);
    setup_end(&s);
}

/* The memory goes when no request uses it */
static void test_remap(gconstpointer event_idx)
{
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=0", SLOW);
    for (int i = 0; i < 5; i++) {
        vu_client_submit(s.client);
        g_usleep(BEGIN_US);
        vu_client_remap(s.client);
        vu_client_read(s.client);
    }
    setup_end(&s);
}

static void test_no_call(gconstpointer event_idx)
{
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=0", "");
    vu_client_want_no_call(s.client);
    read_blocks(&s, 100);
    setup_end(&s);
}

/* An export that is removed closes the socket when its requests have ended */
static void test_delete(gconstpointer event_idx)
{
    Setup s;
    uint16_t done;

    setup_start(&s, event_idx, "poll-max-ns=0", SLOW);
    for (int i = 0; i < 5; i++) {
        vu_client_submit(s.client);
        g_usleep(BEGIN_US);
        qsd_qmp_send(s.qsd, "{ 'execute': 'block-export-del', 'arguments': {"
                     "'id': 'export', 'mode': 'hard' }}");
        while (!vu_client_is_closed(s.client)) {
            g_usleep(1000);
        }
        done = vu_client_done(s.client);
        succeeds(qsd_qmp_receive(s.qsd));
        succeeds(qsd_qmp(s.qsd, "{ 'execute': 'block-export-add', "
                      "'arguments': {"
                      "'id': 'export', 'type': 'vhost-user-blk', 'writable':"
                      "true, 'node-name': 'disk', 'iothread': 'io0', 'addr': {"
                      "'type': 'unix', 'path': %s }}}", s.socket));
        /* Nothing of the old connection has come after its end */
        g_assert_cmpuint(vu_client_done(s.client), ==, done);
        vu_client_connect_again(s.client, s.socket);
        read_blocks(&s, 1);
    }
    setup_end(&s);
}

/* Block jobs put nodes above the one that is exported, and take them away */
static void run_job(Setup *s, QDict *started)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE;
    bool running = true;

    succeeds(started);
    while (running) {
        QDict *rsp = qsd_qmp(s->qsd, "{ 'execute': 'query-jobs' }");

        running = !qlist_empty(qdict_get_qlist(rsp, "return"));
        qobject_unref(rsp);
        read_blocks(s, 10);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

static void run_backups(gconstpointer event_idx, bool fixed)
{
    Setup s;

    setup_start_export(&s, event_idx, "poll-max-ns=500000000", "",
                       fixed ? ",fixed-iothread=on" : "");
    succeeds(qsd_qmp(s.qsd, "{ 'execute': 'blockdev-add', 'arguments': { "
                     "'driver': 'null-co', 'node-name': 'target', "
                     "'size': 1048576 }}"));
    for (int i = 0; i < 5; i++) {
        run_job(&s, qsd_qmp(s.qsd, "{ 'execute': 'blockdev-backup', "
                            "'arguments': { 'job-id': 'job', 'device': 'disk', "
                            "'target': 'target', 'sync': 'full' }}"));
        if (fixed) {
            read_until_polled(&s);
        } else {
            read_blocks(&s, 100);
        }
    }
    if (fixed) {
        g_assert_cmpuint(qsd_counter(s.qsd, "/objects/io0", "poll-hits"), >, 0);
    }
    setup_end(&s);
}

/*
 * A node goes back to the main loop when a parent is taken away, as in stock,
 * and takes an export along that has no fixed-iothread
 */
static void test_jobs(gconstpointer event_idx)
{
    run_backups(event_idx, false);
}

/* The export is where it was */
static void test_jobs_fixed(gconstpointer event_idx)
{
    run_backups(event_idx, true);
}

static void test_skipped(void)
{
    g_test_skip("no qemu-storage-daemon in QTEST_QEMU_STORAGE_DAEMON_BINARY");
}

static void add(const char *name, GTestDataFunc fn)
{
    g_autofree char *event_idx =
        g_strdup_printf("/vhost-user-requests/event-idx/%s", name);
    g_autofree char *flags =
        g_strdup_printf("/vhost-user-requests/flags/%s", name);

    g_test_add_data_func(event_idx, GINT_TO_POINTER(1), fn);
    g_test_add_data_func(flags, NULL, fn);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    if (!qsd_available()) {
        g_test_add_func("/vhost-user-requests", test_skipped);
        return g_test_run();
    }
    add("killed-polling", test_killed_polling);
    add("begin-of-polling", test_begin_of_polling);
    add("stop", test_stop);
    add("stop-and-drain", test_stop_and_drain);
    add("remap", test_remap);
    add("no-call", test_no_call);
    add("delete", test_delete);
    add("jobs", test_jobs);
    add("jobs-fixed", test_jobs_fixed);
    return g_test_run();
}
