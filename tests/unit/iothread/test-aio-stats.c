/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The event loop's counters, fed with what an event loop would tell them
 */
#include <glib.h>
#include <string.h>
#include "iothread-tuning/loop/aio-metrics.h"

static uint64_t read_metric(const AioStats *s, const char *name)
{
    const AioMetric *m = aio_metrics;
    uint64_t value;

    while (strcmp(m->name, name)) {
        m++;
    }
    g_assert_cmpuint(aio_metric_read(s, m, &value), ==, 1);
    return value;
}

static uint64_t events(const AioStats *s)
{
    return read_metric(s, "events");
}

static void test_wait_bucket(void)
{
    static const struct {
        int64_t ns;
        unsigned bucket;
    } cases[] = {
        { 0, 0 }, { 1, 1 }, { 2, 2 }, { 3, 2 },
        { 4, 3 }, { 1023, 10 }, { 1024, 11 }, { 32768, 16 },
        { (1 << 30) - 1, 30 }, { 1 << 30, 31 }, { 1ll << 31, 31 },
        { INT64_MAX, 31 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpuint(aio_stats_wait_bucket(cases[i].ns), ==,
                         cases[i].bucket);
    }
}

static void test_poll(void)
{
    AioStats s = { 0 };
    int64_t ns = -1;

    aio_stats_poll_limit(&s, 8000);
    g_assert_true(aio_stats_poll_current(&s, &ns));
    g_assert_cmpint(ns, ==, 8000);
    aio_stats_polled(&s, true, 3000);
    aio_stats_polled(&s, false, 8100);
    aio_stats_polled(&s, false, 8200);
    g_assert_cmpuint(s.poll_hits, ==, 1);
    g_assert_cmpuint(s.poll_hit_time, ==, 3000);
    g_assert_cmpuint(s.poll_misses, ==, 2);
    g_assert_cmpuint(s.poll_miss_time, ==, 16300);
}

/* One iteration of an event loop */
static void iterate(AioStats *s, int64_t polled, bool blocked, int64_t wait,
                    unsigned events, bool progress)
{
    aio_stats_poll_limit(s, polled);
    if (polled) {
        aio_stats_polled(s, !blocked, polled);
    }
    aio_stats_waited(s, blocked, wait);
    for (unsigned i = 0; i < events; i++) {
        aio_stats_event(s, wait);
    }
    aio_stats_loop(s, progress);
}

static void test_block_time_is_without_polling(void)
{
    AioStats s = { 0 };

    iterate(&s, 4000, true, 50000, 1, false);
    g_assert_cmpuint(s.blocks, ==, 1);
    g_assert_cmpuint(s.block_time, ==, 46000);

    /* The next iteration has not polled: nothing of the last one's is left */
    iterate(&s, 0, true, 50000, 1, false);
    g_assert_cmpuint(s.block_time, ==, 96000);

    /* Found by polling: no block */
    iterate(&s, 4000, false, 4000, 1, false);
    g_assert_cmpuint(s.blocks, ==, 2);
    g_assert_cmpuint(s.block_time, ==, 96000);

    /* A clock that stepped back must not wrap the counter */
    iterate(&s, 4000, true, 100, 1, false);
    g_assert_cmpuint(s.blocks, ==, 3);
    g_assert_cmpuint(s.block_time, ==, 96000);
    g_assert_cmpuint(s.loops, ==, 4);
}

static void test_spurious(void)
{
    AioStats s = { 0 };

    iterate(&s, 0, true, 1000, 0, false);
    g_assert_cmpuint(s.spurious_wakeups, ==, 1);
    iterate(&s, 0, true, 1000, 1, false);   /* an event */
    iterate(&s, 0, true, 1000, 0, true);    /* a bottom half or timer */
    iterate(&s, 0, false, 0, 0, false);     /* did not sleep */
    g_assert_cmpuint(s.spurious_wakeups, ==, 1);
    g_assert_cmpuint(s.loops, ==, 4);
}

/* A handler may run the event loop itself */
static void test_nested_loop(void)
{
    AioStats s = { 0 };

    aio_stats_waited(&s, true, 1000);
    iterate(&s, 0, true, 500, 0, false);    /* nested, woken for nothing */
    iterate(&s, 0, false, 0, 0, false);     /* nested, has not slept */
    aio_stats_event(&s, 1000);              /* the handler comes back */
    aio_stats_loop(&s, false);
    g_assert_cmpuint(s.spurious_wakeups, ==, 1);
    g_assert_cmpuint(s.loops, ==, 3);
    g_assert_cmpuint(events(&s), ==, 1);

    /* The nested loop does not sleep: the outer wakeup is not its own */
    s = (AioStats) { 0 };
    aio_stats_waited(&s, true, 1000);
    iterate(&s, 0, false, 0, 0, false);
    aio_stats_event(&s, 1000);
    aio_stats_loop(&s, false);
    g_assert_cmpuint(s.spurious_wakeups, ==, 0);
}

/* Requests that have ended, each an event of the wait they ended */
static void test_completions(void)
{
    AioStats s = { 0 };

    aio_stats_waited(&s, true, 1000);
    aio_stats_completion(&s);
    aio_stats_completion(&s);
    aio_stats_completed(&s, 1000);
    aio_stats_loop(&s, false);
    g_assert_cmpuint(events(&s), ==, 2);
    g_assert_cmpuint(s.wait_histogram[aio_stats_wait_bucket(1000)], ==, 2);
    g_assert_cmpuint(s.spurious_wakeups, ==, 0);

    /* None: the wakeup was for nothing */
    aio_stats_waited(&s, true, 1000);
    aio_stats_completed(&s, 1000);
    aio_stats_loop(&s, false);
    g_assert_cmpuint(events(&s), ==, 2);
    g_assert_cmpuint(s.spurious_wakeups, ==, 1);
}

static void test_histogram(void)
{
    AioStats s = { 0 };
    uint64_t total = 0;

    for (int64_t ns = 1; ns <= 1 << 20; ns *= 2) {
        aio_stats_event(&s, ns);
    }
    for (unsigned i = 0; i < AIO_STATS_WAIT_BUCKETS; i++) {
        g_assert_cmpuint(s.wait_histogram[i], ==, i >= 1 && i <= 21);
        total += s.wait_histogram[i];
    }
    g_assert_cmpuint(total, ==, events(&s));
}

static void test_submit(void)
{
    AioStats s = { 0 };

    aio_stats_submit(&s, 16);
    aio_stats_submit(&s, 1);
    g_assert_cmpuint(s.requests, ==, 17);
    g_assert_cmpuint(s.submits, ==, 2);
}

/* Every counter is reported once, and a metric reads just its own */
static void test_metrics(void)
{
    const size_t scratch = offsetof(AioStats, polled_ns);
    AioStats s;
    uint64_t values[AIO_STATS_WAIT_BUCKETS];
    size_t reported = 0;

    for (size_t i = 0; i < scratch / sizeof(AioCounter); i++) {
        ((AioCounter *)&s)[i] = i;
    }
    for (const AioMetric *m = aio_metrics; m->name; m++) {
        unsigned n;

        for (const AioMetric *other = m + 1; other->name; other++) {
            g_assert_cmpstr(m->name, !=, other->name);
        }
        if (m->source != AIO_METRIC_COUNTER) {
            continue;
        }
        n = aio_metric_read(&s, m, values);
        for (unsigned i = 0; i < n; i++) {
            g_assert_cmpuint(values[i], ==, m->offset / sizeof(AioCounter) + i);
        }
        reported += n * sizeof(AioCounter);
    }
    g_assert_cmpuint(reported, ==, scratch);
}

static void test_batch_mean(void)
{
    AioStats s = {};

    g_assert_cmpuint(read_metric(&s, "batch-mean"), ==, 0);
    aio_stats_submit(&s, 3);
    aio_stats_submit(&s, 2);
    g_assert_cmpuint(read_metric(&s, "batch-mean"), ==, 2500);
}

/* A reader on another thread sees whole values that never go back */
static gpointer writer(gpointer opaque)
{
    AioStats *s = opaque;

    for (int i = 0; i < 2000000; i++) {
        /* Both halves change with each step: a torn value would show */
        aio_stats_polled(s, true, 0x100000001ll);
    }
    return NULL;
}

static void test_concurrent_reader(void)
{
    AioStats s = { 0 };
    GThread *thread = g_thread_new("event-loop", writer, &s);
    uint64_t hits, time, last = 0;

    do {
        hits = aio_counter_read(&s.poll_hits);
        time = aio_counter_read(&s.poll_hit_time);
        g_assert_cmpuint(time >> 32, ==, time & 0xffffffff);
        g_assert_cmpuint(time, >=, last);
        last = time;
    } while (hits < 2000000);
    g_thread_join(thread);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/aio-stats/wait-bucket", test_wait_bucket);
    g_test_add_func("/aio-stats/poll", test_poll);
    g_test_add_func("/aio-stats/block-time",
                    test_block_time_is_without_polling);
    g_test_add_func("/aio-stats/spurious", test_spurious);
    g_test_add_func("/aio-stats/nested-loop", test_nested_loop);
    g_test_add_func("/aio-stats/completions", test_completions);
    g_test_add_func("/aio-stats/histogram", test_histogram);
    g_test_add_func("/aio-stats/submit", test_submit);
    g_test_add_func("/aio-stats/metrics", test_metrics);
    g_test_add_func("/aio-stats/batch-mean", test_batch_mean);
    g_test_add_func("/aio-stats/concurrent-reader", test_concurrent_reader);
    return g_test_run();
}
