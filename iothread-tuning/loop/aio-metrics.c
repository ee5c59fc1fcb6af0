/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#ifndef NATIVE_UNIT_TEST
#include "qemu/osdep.h"
#endif
#include "iothread-tuning/loop/aio-metrics.h"

#define COUNT(metric_name, field) \
    { .name = metric_name, .offset = offsetof(AioStats, field) }
#define TIME(metric_name, field) \
    { .name = metric_name, .nanoseconds = true, \
      .offset = offsetof(AioStats, field) }
#define NOW(metric_name, field) \
    { .name = metric_name, .kind = AIO_METRIC_INSTANT, \
      .offset = offsetof(AioStats, field) }
#define TIME_NOW(metric_name, field) \
    { .name = metric_name, .kind = AIO_METRIC_INSTANT, .nanoseconds = true, \
      .offset = offsetof(AioStats, field) }

const AioMetric aio_metrics[] = {
    COUNT("loops", loops),
    COUNT("poll-hits", poll_hits),
    COUNT("poll-misses", poll_misses),
    TIME("poll-hit-time", poll_hit_time),
    TIME("poll-miss-time", poll_miss_time),
    COUNT("blocks", blocks),
    TIME("block-time", block_time),
    COUNT("spurious-wakeups", spurious_wakeups),
    { .name = "events", .total = true,
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
    NOW("poll-policy", poll_policy),
    TIME_NOW("poll-max-ns", poll_max_ns),
    NOW("poll-grow", poll_grow),
    NOW("poll-shrink", poll_shrink),
    NOW("poll-weight", poll_weight),
    NOW("poll-latency-weight", poll_latency_weight),
    NOW("poll-cpu-limit", poll_cpu_limit),
    NOW("aio-max-batch", aio_max_batch),
    COUNT("requests", requests),
    COUNT("submits", submits),
    { .name = "batch-mean", .kind = AIO_METRIC_INSTANT, .mean = true,
      .offset = offsetof(AioStats, requests) },
    { .name = "cpu-time", .nanoseconds = true, .thread_clock = true },
    { .name = "wait-histogram", .kind = AIO_METRIC_LOG2_HISTOGRAM,
      .nanoseconds = true, .offset = offsetof(AioStats, wait_histogram) },
    { }
};

unsigned aio_metric_read(const AioStats *stats, const AioMetric *metric,
                         uint64_t *values)
{
    const AioCounter *counter = (const void *)((const char *)stats +
                                               metric->offset);
    bool histogram = metric->kind == AIO_METRIC_LOG2_HISTOGRAM;

    if (metric->mean) {
        uint64_t dividend = aio_counter_read(&counter[0]);
        uint64_t divisor = aio_counter_read(&counter[1]);

        values[0] = divisor ? 1000 * dividend / divisor : 0;
        return 1;
    }
    if (!histogram && !metric->total) {
        values[0] = aio_counter_read(counter);
        return 1;
    }

    values[0] = 0;
    for (unsigned i = 0; i < AIO_STATS_WAIT_BUCKETS; i++) {
        uint64_t value = aio_counter_read(&counter[i]);

        if (histogram) {
            values[i] = value;
        } else {
            values[0] += value;
        }
    }
    return histogram ? AIO_STATS_WAIT_BUCKETS : 1;
}
