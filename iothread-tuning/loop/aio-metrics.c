/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "iothread-tuning/loop/aio-metrics.h"

#define COUNT(metric_name, field) \
    { .name = metric_name, .offset = offsetof(AioStats, field) }
#define TIME(metric_name, field) \
    { .name = metric_name, .nanoseconds = true, \
      .offset = offsetof(AioStats, field) }
#define TIME_NOW(metric_name, field) \
    { .name = metric_name, .kind = AIO_METRIC_INSTANT, .nanoseconds = true, \
      .offset = offsetof(AioStats, field) }
#define PROPERTY(metric_name) \
    { .name = metric_name, .kind = AIO_METRIC_INSTANT, \
      .source = AIO_METRIC_PROPERTY }

const AioMetric aio_metrics[] = {
    COUNT("loops", loops),
    COUNT("poll-hits", poll_hits),
    COUNT("poll-misses", poll_misses),
    TIME("poll-hit-time", poll_hit_time),
    TIME("poll-miss-time", poll_miss_time),
    COUNT("blocks", blocks),
    TIME("block-time", block_time),
    COUNT("spurious-wakeups", spurious_wakeups),
    { .name = "events", .source = AIO_METRIC_SUM,
      .offset = offsetof(AioStats, wait_histogram) },
    TIME_NOW("poll-current", poll_current),
    COUNT("timed-sleeps", timed_sleeps),
    COUNT("timed-wakeups", timed_wakeups),
    COUNT("plans", plans),
    COUNT("yields", yields),
    COUNT("cpu-limited", cpu_limited),
    COUNT("eventfds-cleared", fds_cleared),
    TIME_NOW("wake-latency", wake_latency),
    TIME_NOW("block-cpu", block_cpu),
    PROPERTY("poll-policy"),
    { .name = "poll-max-ns", .kind = AIO_METRIC_INSTANT, .nanoseconds = true,
      .source = AIO_METRIC_PROPERTY },
    PROPERTY("poll-grow"),
    PROPERTY("poll-shrink"),
    PROPERTY("poll-weight"),
    PROPERTY("poll-latency-weight"),
    PROPERTY("poll-cpu-limit"),
    PROPERTY("aio-max-batch"),
    COUNT("requests", requests),
    COUNT("submits", submits),
    { .name = "batch-mean", .kind = AIO_METRIC_INSTANT,
      .source = AIO_METRIC_MEAN, .offset = offsetof(AioStats, requests) },
    { .name = "cpu-time", .nanoseconds = true,
      .source = AIO_METRIC_THREAD_CLOCK },
    { .name = "wait-histogram", .kind = AIO_METRIC_LOG2_HISTOGRAM,
      .nanoseconds = true, .offset = offsetof(AioStats, wait_histogram) },
    { }
};

unsigned aio_metric_read(const AioStats *stats, const AioMetric *metric,
                         uint64_t *values)
{
    const AioCounter *counter = (const void *)((const char *)stats +
                                               metric->offset);
    unsigned n = metric->kind == AIO_METRIC_LOG2_HISTOGRAM ?
                 AIO_STATS_WAIT_BUCKETS : 1;

    for (unsigned i = 0; i < n; i++) {
        values[i] = aio_counter_read(&counter[i]);
    }
    if (metric->source == AIO_METRIC_MEAN) {
        uint64_t divisor = aio_counter_read(&counter[1]);

        values[0] = divisor ? 1000 * values[0] / divisor : 0;
    } else if (metric->source == AIO_METRIC_SUM) {
        for (unsigned i = 1; i < AIO_STATS_WAIT_BUCKETS; i++) {
            values[0] += aio_counter_read(&counter[i]);
        }
    }
    return n;
}
