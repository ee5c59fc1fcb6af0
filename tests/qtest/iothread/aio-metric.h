/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * One statistic of an AioContext, for tests in its thread
 */
#ifndef NEARMETAL_QTEST_AIO_METRIC_H
#define NEARMETAL_QTEST_AIO_METRIC_H

#include "block/aio.h"
#include "iothread-tuning/loop/aio-metrics.h"

/* @name: as query-stats has it; one value, the first of a histogram */
static inline uint64_t aio_metric(AioContext *ctx, const char *name)
{
    uint64_t values[AIO_STATS_WAIT_BUCKETS];
    const AioMetric *m = aio_metrics;

    while (!g_str_equal(m->name, name)) {
        m++;
    }
    aio_metric_read(&ctx->stats, m, values);
    return values[0];
}

#endif /* NEARMETAL_QTEST_AIO_METRIC_H */
