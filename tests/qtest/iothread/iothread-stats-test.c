/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * IOThread statistics against the driver's own count and the trace events
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "libqtest.h"
#include "qapi/error.h"
#include "qobject/qjson.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "../common/stats-query.h"
#include "vblk.h"

#define IO0 "/objects/io0"
#define IO1 "/objects/io1"
#define TRACE_POLL_END "run_poll_handlers_end"

static const struct {
    const char *name;
    const char *type;
    bool seconds;
    int exponent;       /* of a plain number */
} schema[] = {
    { "loops", "cumulative" },
    { "poll-hits", "cumulative" },
    { "poll-misses", "cumulative" },
    { "poll-hit-time", "cumulative", true },
    { "poll-miss-time", "cumulative", true },
    { "blocks", "cumulative" },
    { "block-time", "cumulative", true },
    { "spurious-wakeups", "cumulative" },
    { "events", "cumulative" },
    { "poll-current", "instant", true },
    { "timed-sleeps", "cumulative" },
    { "timed-wakeups", "cumulative" },
    { "plans", "cumulative" },
    { "yields", "cumulative" },
    { "cpu-limited", "cumulative" },
    { "eventfds-cleared", "cumulative" },
    { "wake-latency", "instant", true },
    { "block-cpu", "instant", true },
    { "poll-policy", "instant" },
    { "poll-max-ns", "instant", true },
    { "poll-grow", "instant" },
    { "poll-shrink", "instant" },
    { "poll-weight", "instant" },
    { "poll-latency-weight", "instant" },
    { "poll-cpu-limit", "instant" },
    { "aio-max-batch", "instant" },
    { "requests", "cumulative" },
    { "submits", "cumulative" },
    { "batch-mean", "instant", false, -3 },
    { "cpu-time", "cumulative", true },
    { "wait-histogram", "log2-histogram", true },
};

static QTestState *start(const char *blockdev, const char *extra)
{
    /* classic polls on a busy host as well */
    return qtest_initf("%s -object iothread,id=io0,poll-policy=classic "
                       "-object iothread,id=io1,poll-max-ns=0 "
                       "-blockdev %s,node-name=disk "
                       "-device virtio-blk-pci,drive=disk,iothread=io0,addr=4 "
                       "%s", vblk_machine(), blockdev, extra);
}

static QTestState *start_null(void)
{
    return start("driver=null-co,read-zeroes=on", "");
}

static void set_property(QTestState *qts, const char *name, int64_t value)
{
    qtest_qmp_assert_success(qts, "{ 'execute': 'qom-set', 'arguments': {"
                             "'path': %s, 'property': %s, "
                             "'value': %" PRId64 "}}", IO0, name, value);
}

/* Polling off, and the loop asleep: the counters have caught up */
static void quiesce(QTestState *qts)
{
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    uint64_t loops, last = UINT64_MAX;

    set_property(qts, "poll-max-ns", 0);
    while ((loops = stats_counter(qts, IO0, "loops")) != last) {
        last = loops;
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(50 * 1000);
    }
}

static void test_schema(void)
{
    QTestState *qts = qtest_initf("%s", vblk_machine());
    QList *list = stats_query(qts, "{ 'execute': 'query-stats-schemas', "
                              "'arguments': { 'provider': 'iothread' }}");
    QDict *entry = qobject_to(QDict, qlist_peek(list));
    QList *stats = qdict_get_qlist(entry, "stats");
    const QListEntry *e = qlist_first(stats);

    g_assert_cmpuint(qlist_size(list), ==, 1);
    g_assert_cmpstr(qdict_get_str(entry, "target"), ==, "iothread");
    g_assert_cmpuint(qlist_size(stats), ==, G_N_ELEMENTS(schema));

    for (int i = 0; i < G_N_ELEMENTS(schema); i++, e = qlist_next(e)) {
        QDict *stat = qobject_to(QDict, qlist_entry_obj(e));

        g_assert_cmpstr(qdict_get_str(stat, "name"), ==, schema[i].name);
        g_assert_cmpstr(qdict_get_str(stat, "type"), ==, schema[i].type);
        if (schema[i].seconds) {
            g_assert_cmpstr(qdict_get_str(stat, "unit"), ==, "seconds");
            g_assert_cmpint(qdict_get_int(stat, "base"), ==, 10);
            g_assert_cmpint(qdict_get_int(stat, "exponent"), ==, -9);
        } else {
            g_assert_false(qdict_haskey(stat, "unit"));
            g_assert_cmpint(qdict_get_int(stat, "exponent"), ==,
                            schema[i].exponent);
        }
    }
    qobject_unref(list);
    qtest_quit(qts);
}

/* Without polling every request is a kick, and every kick a dispatched event */
static void test_counts_without_polling(void)
{
    enum { N = 200 };
    QTestState *qts = start_null();
    VBlk *blk = vblk_new(qts);
    uint64_t events, cpu_time, blocks;

    quiesce(qts);
    events = stats_counter(qts, IO0, "events");
    cpu_time = stats_counter(qts, IO0, "cpu-time");
    blocks = stats_counter(qts, IO0, "blocks");
    for (int i = 0; i < N; i++) {
        vblk_read(blk, 1);
    }
    quiesce(qts);

    g_assert_cmpuint(stats_counter(qts, IO0, "requests"), ==, N);
    g_assert_cmpuint(stats_counter(qts, IO0, "submits"), ==, N);
    g_assert_cmpuint(stats_counter(qts, IO0, "events") - events, ==, N);
    g_assert_cmpuint(stats_counter(qts, IO0, "blocks") - blocks, >=, N);
    g_assert_cmpuint(stats_counter(qts, IO0, "block-time"), >, 0);
    g_assert_cmpuint(stats_counter(qts, IO0, "poll-current"), ==, 0);
    g_assert_cmpuint(stats_counter(qts, IO0, "cpu-time"), >, cpu_time);
    g_assert_cmpuint(stats_histogram_total(qts, IO0), ==,
                     stats_counter(qts, IO0, "events"));

    /* The other IOThread had nothing to do */
    g_assert_cmpuint(stats_counter(qts, IO1, "requests"), ==, 0);
    g_assert_cmpuint(stats_counter(qts, IO1, "events"), ==, 0);

    vblk_free(blk);
    qtest_quit(qts);
}

static void count_trace_events(const char *path, uint64_t *hits, uint64_t *all)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    *hits = *all = 0;
    for (char **line = lines; *line; line++) {
        if (strstr(*line, TRACE_POLL_END)) {
            *all += 1;
            *hits += !!strstr(*line, "progress 1");
        }
    }
}

/*
 * A poll is counted before its line is written, and its thread may be off the
 * CPU in between: with polling off, the lines catch up
 */
static void expect_traced(QTestState *qts, const char *path)
{
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    uint64_t hits, misses, traced_hits, traced;

    do {
        hits = stats_counter(qts, IO0, "poll-hits");
        misses = stats_counter(qts, IO0, "poll-misses");
        count_trace_events(path, &traced_hits, &traced);
    } while (hits + misses != traced && g_get_monotonic_time() < deadline);
    g_assert_cmpuint(hits, >, 0);
    g_assert_cmpuint(hits, ==, traced_hits);
    g_assert_cmpuint(hits + misses, ==, traced);
}

static void test_counts_with_polling(void)
{
    enum { N = 200 };
    g_autofree char *log = g_strdup_printf("%s/nearmetal-poll-%d.log",
                                           g_get_tmp_dir(), getpid());
    g_autofree char *extra = g_strdup_printf("-trace enable=" TRACE_POLL_END
                                             " -D %s", log);
    QTestState *qts = start("driver=null-co,read-zeroes=on", extra);
    VBlk *blk = vblk_new(qts);
    uint64_t events;

    quiesce(qts);
    events = stats_counter(qts, IO0, "events");
    /* Longer than any gap between two requests on a busy machine */
    set_property(qts, "poll-max-ns", 500 * 1000 * 1000);
    for (int i = 0; i < N; i++) {
        vblk_read(blk, 1);
    }
    quiesce(qts);

    expect_traced(qts, log);
    g_assert_cmpuint(stats_counter(qts, IO0, "poll-hit-time"), >, 0);

    /* Kicks that polling has found are no events a second time */
    g_assert_cmpuint(stats_counter(qts, IO0, "requests"), ==, N);
    g_assert_cmpuint(stats_counter(qts, IO0, "events") - events, ==, N);

    vblk_free(blk);
    qtest_quit(qts);
    g_unlink(log);
}

static char *make_image(void)
{
    char *path;
    int fd = g_file_open_tmp("nearmetal-XXXXXX.img", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, 1024 * 1024), ==, 0);
    close(fd);
    return path;
}

/* @opaque: the aio= mode */
static void test_batches(const void *opaque)
{
    enum { ROUNDS = 20, BATCH = 16 };
    const char *aio = opaque;
    g_autofree char *path = make_image();
    g_autofree char *blockdev =
        g_strdup_printf("driver=file,filename=%s,aio=%s,cache.direct=%s", path,
                        aio, g_str_equal(aio, "native") ? "on" : "off");
    bool batching = !g_str_equal(aio, "threads");
    QTestState *qts = start(blockdev, "");
    VBlk *blk = vblk_new(qts);
    uint64_t requests, submits;

    quiesce(qts);
    requests = stats_counter(qts, IO0, "requests");
    submits = stats_counter(qts, IO0, "submits");
    for (int i = 0; i < ROUNDS; i++) {
        vblk_read(blk, BATCH);
    }
    requests = stats_counter(qts, IO0, "requests") - requests;
    submits = stats_counter(qts, IO0, "submits") - submits;
    g_assert_cmpuint(requests, ==, ROUNDS * BATCH);
    g_assert_cmpuint(submits, ==, batching ? ROUNDS : ROUNDS * BATCH);

    if (g_str_equal(aio, "native")) {
        set_property(qts, "aio-max-batch", 1);
        submits = stats_counter(qts, IO0, "submits");
        vblk_read(blk, BATCH);
        submits = stats_counter(qts, IO0, "submits") - submits;
        g_assert_cmpuint(submits, ==, BATCH);
    }

    vblk_free(blk);
    qtest_quit(qts);
    g_unlink(path);
}

static unsigned entries(QTestState *qts, const char *json)
{
    QList *list = stats_query(qts, json);
    unsigned n = qlist_size(list);

    qobject_unref(list);
    return n;
}

static void assert_refused(QTestState *qts, const char *json)
{
    QDict *error = qtest_qmp_assert_failure_ref(
        qts, "%p", qobject_from_json(json, &error_abort));

    g_assert_cmpstr(qdict_get_str(error, "class"), ==, "GenericError");
    qobject_unref(error);
}

static void test_filters(void)
{
    QTestState *qts = start_null();

    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD("")), ==, 2);
    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD(
                         ", 'iothreads': ['" IO1 "']")), ==, 1);
    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD(
                         ", 'iothreads': ['" IO1 "', '" IO0 "']")), ==, 2);

    /* What is not there has no entry */
    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD(", 'iothreads': []")), ==, 0);
    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD(
                         ", 'iothreads': ['/objects/x', 'io0', '']")), ==, 0);
    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD(
                         ", 'providers': [{'provider': 'iothread', "
                         "'names': ['none']}]")), ==, 0);
    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD(
                         ", 'providers': [{'provider': 'iothread', "
                         "'names': []}]")), ==, 0);
    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD(
                         ", 'providers': [{'provider': 'cryptodev'}]")), ==, 0);
    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD(", 'providers': []")), ==, 0);
    g_assert_cmpuint(entries(qts, "{ 'execute': 'query-stats', 'arguments': "
                             "{ 'target': 'vm' }}"), ==, 0);

    assert_refused(qts, "{ 'execute': 'query-stats', 'arguments': "
                   "{ 'target': 'iothreads' }}");
    assert_refused(qts, QUERY_IOTHREAD(", 'providers': [{'provider': 'x'}]"));
    assert_refused(qts, QUERY_IOTHREAD(", 'vcpus': ['" IO0 "']"));
    assert_refused(qts, QUERY_IOTHREAD(", 'iothreads': '" IO0 "'"));
    assert_refused(qts, "{ 'execute': 'query-stats', 'arguments': "
                   "{ 'target': 'vm', 'iothreads': ['" IO0 "'] }}");
    assert_refused(qts, "{ 'execute': 'query-stats-schemas', 'arguments': "
                   "{ 'provider': 'iothreads' }}");

    /* Objects come and go */
    qtest_qmp_assert_success(qts, "{ 'execute': 'object-add', 'arguments': "
                             "{ 'qom-type': 'iothread', 'id': 'io2' }}");
    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD("")), ==, 3);
    qtest_qmp_assert_success(qts, "{ 'execute': 'object-del', 'arguments': "
                             "{ 'id': 'io2' }}");
    g_assert_cmpuint(entries(qts, QUERY_IOTHREAD("")), ==, 2);
    qtest_quit(qts);
}

static void test_query_iothreads(void)
{
    QTestState *qts = start_null();
    VBlk *blk = vblk_new(qts);
    gint64 deadline = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    const QListEntry *entry;
    QDict *rsp, *info = NULL;

    set_property(qts, "poll-max-ns", 500 * 1000 * 1000);
    set_property(qts, "thread-pool-max", 7);
    set_property(qts, "thread-pool-min", 2);
    assert_refused(qts, "{ 'execute': 'qom-set', 'arguments': { 'path': '" IO0
                   "', 'property': 'thread-pool-min', 'value': 9 }}");
    do {                /* a long gap on a busy machine sets it back to 0 */
        vblk_read(blk, 1);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    } while (!stats_counter(qts, IO0, "poll-current"));

    rsp = qtest_qmp(qts, "{ 'execute': 'query-iothreads' }");
    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), entry) {
        info = qobject_to(QDict, qlist_entry_obj(entry));
        if (g_str_equal(qdict_get_str(info, "id"), "io0")) {
            break;
        }
    }
    g_assert_nonnull(entry);
    g_assert_cmpint(qdict_get_int(info, "poll-max-ns"), ==, 500 * 1000 * 1000);
    g_assert_cmpint(qdict_get_int(info, "poll-current-ns"), >=, 0);
    g_assert_cmpint(qdict_get_int(info, "poll-current-ns"), <=,
                    500 * 1000 * 1000);
    g_assert_cmpint(qdict_get_int(info, "thread-pool-min"), ==, 2);
    g_assert_cmpint(qdict_get_int(info, "thread-pool-max"), ==, 7);
    qobject_unref(rsp);

    vblk_free(blk);
    qtest_quit(qts);
}

static void test_hmp(void)
{
    QTestState *qts = start_null();
    g_autofree char *all = qtest_hmp(qts, "info stats iothread");
    g_autofree char *one = qtest_hmp(qts, "info stats iothread loops,events");
    g_autofree char *bad = qtest_hmp(qts, "info stats iothreads");
    const char *line = all;

    for (int i = 0; i < G_N_ELEMENTS(schema); i++) {
        line = strstr(line, schema[i].name);
        g_assert_nonnull(line);
    }
    g_assert_nonnull(strstr(all, "iothread: " IO0));
    g_assert_nonnull(strstr(all, "iothread: " IO1));
    g_assert_nonnull(strstr(one, "loops (cumulative)"));
    g_assert_null(strstr(one, "poll-hits"));
    g_assert_nonnull(strstr(bad, "invalid stats target"));
    qtest_quit(qts);
}

static bool have_aio(const char *mode)
{
    g_autofree char *path = make_image();
    g_autofree char *json =
        g_strdup_printf("{ 'execute': 'blockdev-add', 'arguments': {"
                        "'driver': 'file', 'filename': '%s', 'node-name': 'x',"
                        "'aio': '%s', 'cache': { 'direct': %s }}}", path, mode,
                        g_str_equal(mode, "native") ? "true" : "false");
    QTestState *qts = qtest_init("-machine none");
    QDict *rsp = qtest_qmp(qts, "%p", qobject_from_json(json, &error_abort));
    bool ok = qdict_haskey(rsp, "return");

    qobject_unref(rsp);
    qtest_quit(qts);
    g_unlink(path);
    return ok;
}

static void test_batches_or_skip(const void *opaque)
{
    if (!have_aio(opaque)) {
        g_autofree char *why = g_strdup_printf("this build, host kernel or the "
            "file system of the temporary folder lacks aio=%s",
            (const char *)opaque);

        g_test_skip(why);
        return;
    }
    test_batches(opaque);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("iothread-stats/schema", test_schema);
    qtest_add_func("iothread-stats/counts/polling-off",
                   test_counts_without_polling);
    qtest_add_func("iothread-stats/counts/polling", test_counts_with_polling);
    qtest_add_data_func("iothread-stats/batches/threads", "threads",
                        test_batches_or_skip);
    qtest_add_data_func("iothread-stats/batches/native", "native",
                        test_batches_or_skip);
    qtest_add_data_func("iothread-stats/batches/io_uring", "io_uring",
                        test_batches_or_skip);
    qtest_add_func("iothread-stats/filters", test_filters);
    qtest_add_func("iothread-stats/query-iothreads", test_query_iothreads);
    qtest_add_func("iothread-stats/hmp", test_hmp);
    return g_test_run();
}
