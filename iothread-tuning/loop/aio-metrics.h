/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The names, kinds and units under which event loop statistics are reported
 *
 * Any thread may read them.
 */
#ifndef IOTHREAD_TUNING_AIO_METRICS_H
#define IOTHREAD_TUNING_AIO_METRICS_H

#include <stddef.h>
#include "iothread-tuning/loop/aio-stats.h"

typedef enum AioMetricKind {
    AIO_METRIC_CUMULATIVE,      /* only grows */
    AIO_METRIC_INSTANT,         /* the value of this moment */
    AIO_METRIC_LOG2_HISTOGRAM,  /* AIO_STATS_WAIT_BUCKETS cumulative values */
} AioMetricKind;

typedef enum AioMetricSource {
    AIO_METRIC_COUNTER,         /* a counter, or those of a histogram */
    AIO_METRIC_SUM,             /* of a histogram */
    AIO_METRIC_MEAN,            /* 1000 x a counter / the one after it */
    /* Not from AioStats: */
    AIO_METRIC_PROPERTY,        /* the IOThread's of the same name */
    AIO_METRIC_THREAD_CLOCK,    /* CPU time of the IOThread */
} AioMetricSource;

typedef struct AioMetric {
    const char *name;
    AioMetricKind kind;
    AioMetricSource source;
    bool nanoseconds;           /* a time; else a plain number */
    size_t offset;              /* of the (first) counter in AioStats */
} AioMetric;

/* In the order of the documentation; ends with an entry without a name */
extern const AioMetric aio_metrics[];

/**
 * aio_metric_read: copy the present value(s) of @metric
 * @stats: the event loop's counters; it may be running on another thread
 * @metric: an entry of aio_metrics[] whose source is one of AioStats
 * @values: room for AIO_STATS_WAIT_BUCKETS values
 *
 * Returns: how many values were stored
 */
unsigned aio_metric_read(const AioStats *stats, const AioMetric *metric,
                         uint64_t *values);

#endif /* IOTHREAD_TUNING_AIO_METRICS_H */
