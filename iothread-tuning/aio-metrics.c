/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#ifndef NATIVE_UNIT_TEST
#include "qemu/osdep.h"
#endif
#include "iothread-tuning/aio-metrics.h"

#define COUNT(metric_name, field) \
    { .name = metric_name, .offset = offsetof(AioStats, field) }
#define TIME(metric_name, field) \
    { .name = metric_name, .nanoseconds = true, \
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
    COUNT("events", events),
    { .name = "poll-current", .kind = AIO_METRIC_INSTANT, .nanoseconds = true,
      .offset = offsetof(AioStats, poll_current) },
    COUNT("requests", requests),
    COUNT("submits", submits),
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
    unsigned n = metric->kind == AIO_METRIC_LOG2_HISTOGRAM ?
                 AIO_STATS_WAIT_BUCKETS : 1;

    for (unsigned i = 0; i < n; i++) {
        values[i] = aio_counter_read(&counter[i]);
    }
    return n;
}
