/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A vhost-user-blk export of qemu-storage-daemon polls its queue, and loses no
 * request when it stops to
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qemu/atomic.h"
#include "qobject/qdict.h"
#include "qsd.h"
#include "vu-client.h"

#define IO0 "/objects/io0"

typedef struct Setup {
    Qsd *qsd;
    VuClient *client;
    char *folder;
    char *socket;
    bool event_idx;
} Setup;

static void setup_start_disk(Setup *s, gconstpointer event_idx,
                             const char *iothread, const char *disk)
{
    g_autofree char *args = NULL;

    s->event_idx = event_idx != NULL;
    s->folder = g_dir_make_tmp("nearmetal-XXXXXX", NULL);
    s->socket = g_strdup_printf("%s/vu", s->folder);
    args = g_strdup_printf(
        "--object iothread,id=io0,poll-policy=classic,%s "
        "--blockdev null-co,node-name=disk,size=1048576,read-zeroes=on%s "
        "--export vhost-user-blk,id=export,node-name=disk,iothread=io0,"
        "addr.type=unix,addr.path=%s", iothread, disk,
        s->socket);
    s->qsd = qsd_start(args);
    s->client = vu_client_new(s->socket, s->event_idx);
}

static void setup_start(Setup *s, gconstpointer event_idx, const char *iothread)
{
    setup_start_disk(s, event_idx, iothread, "");
}

static void setup_end(Setup *s)
{
    if (s->client) {
        vu_client_free(s->client);
    }
    qsd_quit(s->qsd);
    g_unlink(s->socket);
    g_assert_cmpint(g_rmdir(s->folder), ==, 0);
    g_free(s->socket);
    g_free(s->folder);
}

static void set(Setup *s, const char *property, int64_t value)
{
    QDict *rsp = qsd_qmp(s->qsd, "{ 'execute': 'qom-set', 'arguments': {"
                         "'path': %s, 'property': %s, 'value': %" PRId64 "}}",
                         IO0, property, value);

    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
}

static uint64_t counter(Setup *s, const char *name)
{
    return qsd_counter(s->qsd, IO0, name);
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
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    uint64_t kicks;

    do {
        kicks = vu_client_kicks(s->client);
        read_blocks(s, 100);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    } while (vu_client_kicks(s->client) != kicks);
}

typedef struct Reader {
    VuClient *client;
    bool stop;
    GThread *thread;
} Reader;

static gpointer reader_run(gpointer opaque)
{
    Reader *reader = opaque;

    while (!qatomic_read(&reader->stop)) {
        vu_client_read(reader->client);
    }
    return NULL;
}

/* Something is done to the export while it is in use */
static void while_reading(Setup *s, void (*fn)(Setup *s), int times)
{
    Reader reader = { .client = s->client };

    read_until_polled(s);
    reader.thread = g_thread_new("reader", reader_run, &reader);
    for (int i = 0; i < times; i++) {
        fn(s);
    }
    qatomic_set(&reader.stop, true);
    g_thread_join(reader.thread);
    /* And it polls on */
    read_until_polled(s);
}

static void test_polled(gconstpointer event_idx)
{
    enum { N = 5000 };
    Setup s;
    uint64_t kicks, hits;

    /* Longer than any gap between two requests on a busy machine */
    setup_start(&s, event_idx, "poll-max-ns=500000000");
    read_until_polled(&s);
    kicks = vu_client_kicks(s.client);
    hits = counter(&s, "poll-hits");
    read_blocks(&s, N);
    kicks = vu_client_kicks(s.client) - kicks;
    hits = counter(&s, "poll-hits") - hits;

    g_test_message("%" PRIu64 " kicks, %" PRIu64 " poll hits for %d requests",
                   kicks, hits, N);
    g_assert_cmpuint(hits, >, N / 2);
    g_assert_cmpuint(kicks, <, N / 10);
    setup_end(&s);
}

/* Past the point where the 16-bit indexes wrap around */
static void test_wrap(gconstpointer event_idx)
{
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=500000000");
    read_blocks(&s, 70000);
    g_assert_cmpuint(counter(&s, "requests"), ==, 70000);
    setup_end(&s);
}

static void test_not_polled(gconstpointer event_idx)
{
    enum { N = 200 };
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=0");
    read_blocks(&s, N);
    g_assert_cmpuint(vu_client_kicks(s.client), ==, N);
    g_assert_cmpuint(counter(&s, "poll-hits"), ==, 0);

    /* Switched on and off while it runs */
    set(&s, "poll-max-ns", 500000000);
    read_until_polled(&s);
    set(&s, "poll-max-ns", 0);
    read_blocks(&s, N);
    setup_end(&s);
}

/* Requests that come when a poll is just over are not lost */
static void test_gaps(gconstpointer event_idx)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=100000,poll-shrink=1");
    for (int i = 0; i < 3000; i++) {
        gint64 end = g_get_monotonic_time() + g_rand_int_range(rand, 0, 200);

        while (g_get_monotonic_time() < end) {
            /* not asleep: that takes longer than a poll */
        }
        vu_client_read(s.client);
    }
    g_assert_cmpuint(counter(&s, "requests"), ==, 3000);
    setup_end(&s);
}

/* A ring that is handed to somebody else must be kickable */
static void test_stop(gconstpointer event_idx)
{
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=500000000");
    for (int i = 0; i < 20; i++) {
        read_until_polled(&s);
        vu_client_stop(s.client);
        g_assert_true(vu_client_would_kick(s.client));
        vu_client_start(s.client);
    }
    read_blocks(&s, 100);
    setup_end(&s);
}

static void remap(Setup *s)
{
    vu_client_remap(s->client);
}

static void test_remap(gconstpointer event_idx)
{
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=500000000");
    while_reading(&s, remap, 100);
    setup_end(&s);
}

static void test_disconnect(gconstpointer event_idx)
{
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=500000000");
    for (int i = 0; i < 20; i++) {
        read_until_polled(&s);
        vu_client_free(s.client);
        s.client = vu_client_new(s.socket, s.event_idx);
    }
    read_blocks(&s, 100);
    setup_end(&s);
}

/* The queue is taken away from the event loop and given back */
static void drain(Setup *s)
{
    QDict *rsp = qsd_qmp(s->qsd, "{ 'execute': 'blockdev-reopen', "
                         "'arguments': { 'options': [{ 'driver': 'null-co', "
                         "'size': 1048576, 'node-name': 'disk', "
                         "'read-zeroes': true }] }}");

    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
}

static void test_drain(gconstpointer event_idx)
{
    Setup s;

    setup_start(&s, event_idx, "poll-max-ns=500000000");
    while_reading(&s, drain, 100);
    setup_end(&s);
}

/* A request is under way when the client goes, and another one comes then */
static void test_hang_up(gconstpointer event_idx)
{
    Setup s;

    setup_start_disk(&s, event_idx, "poll-max-ns=500000000",
                     ",latency-ns=100000000");
    for (int i = 0; i < 3; i++) {
        vu_client_read(s.client);
        vu_client_submit(s.client);
        g_usleep(10 * 1000);
        vu_client_hang_up(s.client);
        g_usleep(10 * 1000);
        vu_client_submit(s.client);
        g_usleep(10 * 1000);
        vu_client_free(s.client);
        s.client = vu_client_new(s.socket, s.event_idx);
    }
    vu_client_read(s.client);
    setup_end(&s);
}

static void test_delete_export(gconstpointer event_idx)
{
    Setup s;
    QDict *rsp;

    setup_start(&s, event_idx, "poll-max-ns=500000000");
    read_until_polled(&s);
    rsp = qsd_qmp(s.qsd, "{ 'execute': 'block-export-del', 'arguments': {"
                  "'id': 'export', 'mode': 'hard' }}");
    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
    setup_end(&s);
}

static void test_skipped(void)
{
    g_test_skip("no qemu-storage-daemon in QTEST_QEMU_STORAGE_DAEMON_BINARY");
}

static void add(const char *name, GTestDataFunc fn)
{
    g_autofree char *event_idx =
        g_strdup_printf("/vhost-user-poll/event-idx/%s", name);
    g_autofree char *flags = g_strdup_printf("/vhost-user-poll/flags/%s", name);

    g_test_add_data_func(event_idx, GINT_TO_POINTER(1), fn);
    g_test_add_data_func(flags, NULL, fn);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    if (!qsd_available()) {
        g_test_add_func("/vhost-user-poll", test_skipped);
        return g_test_run();
    }
    add("polled", test_polled);
    add("wrap", test_wrap);
    add("not-polled", test_not_polled);
    add("gaps", test_gaps);
    add("stop", test_stop);
    add("remap", test_remap);
    add("disconnect", test_disconnect);
    add("hang-up", test_hang_up);
    add("drain", test_drain);
    add("delete-export", test_delete_export);
    return g_test_run();
}
