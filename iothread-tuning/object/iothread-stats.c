/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Statistics provider "iothread" for query-stats
 *
 * Runs in the monitor, under the BQL, which keeps the IOThread objects (and so
 * their AioContext and thread) alive.  The IOThreads themselves go on running.
 */
#include "qemu/osdep.h"
#include <pthread.h>
#include "block/aio.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "qemu/module.h"
#include "qom/object.h"
#include "system/iothread.h"
#include "system/stats.h"
#include "iothread-tuning/loop/aio-metrics.h"

typedef struct StatsQuery {
    StatsResultList **results;
    strList *names;
    strList *paths;
} StatsQuery;

/* CPU time of the IOThread's thread in ns, 0 where the host can't tell */
static uint64_t iothread_cpu_time(IOThread *iothread)
{
#ifdef CONFIG_POSIX
    clockid_t clock;
    struct timespec ts;

    if (!iothread->stopping &&
        !pthread_getcpuclockid(iothread->thread.thread, &clock) &&
        !clock_gettime(clock, &ts)) {
        return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
    }
#endif
    return 0;
}

/* Parameters are no statistics, but belong beside them */
static uint64_t iothread_parameter(IOThread *iothread, const char *name)
{
    if (g_str_equal(name, "poll-policy")) {
        return iothread->poll_policy;
    }
    return object_property_get_int(OBJECT(iothread), name, &error_abort);
}

static StatsValue *iothread_stats_value_new(const AioMetric *metric,
                                            const uint64_t *values, unsigned n)
{
    StatsValue *value = g_new0(StatsValue, 1);
    uint64List **tail = &value->u.list;

    if (metric->kind != AIO_METRIC_LOG2_HISTOGRAM) {
        value->type = QTYPE_QNUM;
        value->u.scalar = values[0];
        return value;
    }

    value->type = QTYPE_QLIST;
    for (unsigned i = 0; i < n; i++) {
        QAPI_LIST_APPEND(tail, values[i]);
    }
    return value;
}

static Stats *iothread_stat_new(IOThread *iothread, const AioMetric *metric)
{
    Stats *stats = g_new0(Stats, 1);
    uint64_t values[AIO_STATS_WAIT_BUCKETS];
    unsigned n = 1;

    if (metric->source == AIO_METRIC_PROPERTY) {
        values[0] = iothread_parameter(iothread, metric->name);
    } else if (metric->source == AIO_METRIC_THREAD_CLOCK) {
        values[0] = iothread_cpu_time(iothread);
    } else {
        n = aio_metric_read(&iothread->ctx->stats, metric, values);
    }
    stats->name = g_strdup(metric->name);
    stats->value = iothread_stats_value_new(metric, values, n);
    return stats;
}

static int iothread_stats_one(Object *obj, void *opaque)
{
    StatsQuery *query = opaque;
    IOThread *iothread = (IOThread *)object_dynamic_cast(obj, TYPE_IOTHREAD);
    g_autofree char *path = NULL;
    StatsList *list = NULL, **tail = &list;

    if (!iothread || !iothread->ctx) {
        return 0;
    }
    path = object_get_canonical_path(obj);
    if (!apply_str_list_filter(path, query->paths)) {
        return 0;
    }

    for (const AioMetric *metric = aio_metrics; metric->name; metric++) {
        if (apply_str_list_filter(metric->name, query->names)) {
            QAPI_LIST_APPEND(tail, iothread_stat_new(iothread, metric));
        }
    }
    if (list) {
        add_stats_entry(query->results, STATS_PROVIDER_IOTHREAD, path, list);
    }
    return 0;
}

static void iothread_stats_cb(StatsResultList **results, StatsTarget target,
                              strList *names, strList *targets, Error **errp)
{
    StatsQuery query = {
        .results = results, .names = names, .paths = targets,
    };

    if (target == STATS_TARGET_IOTHREAD) {
        object_child_foreach(object_get_objects_root(), iothread_stats_one,
                             &query);
    }
}

static StatsSchemaValue *iothread_schema_new(const AioMetric *metric)
{
    static const StatsType types[] = {
        [AIO_METRIC_CUMULATIVE] = STATS_TYPE_CUMULATIVE,
        [AIO_METRIC_INSTANT] = STATS_TYPE_INSTANT,
        [AIO_METRIC_LOG2_HISTOGRAM] = STATS_TYPE_LOG2_HISTOGRAM,
    };
    StatsSchemaValue *schema = g_new0(StatsSchemaValue, 1);

    schema->name = g_strdup(metric->name);
    schema->type = types[metric->kind];
    if (metric->nanoseconds) {
        schema->has_unit = true;
        schema->unit = STATS_UNIT_SECONDS;
        schema->has_base = true;
        schema->base = 10;
        schema->exponent = -9;
    } else if (metric->source == AIO_METRIC_MEAN) {
        schema->has_base = true;
        schema->base = 10;
        schema->exponent = -3;
    }
    return schema;
}

static void iothread_schemas_cb(StatsSchemaList **results, Error **errp)
{
    StatsSchemaValueList *list = NULL, **tail = &list;

    for (const AioMetric *metric = aio_metrics; metric->name; metric++) {
        QAPI_LIST_APPEND(tail, iothread_schema_new(metric));
    }
    add_stats_schema(results, STATS_PROVIDER_IOTHREAD, STATS_TARGET_IOTHREAD,
                     list);
}

static void iothread_stats_register(void)
{
    add_stats_callbacks(STATS_PROVIDER_IOTHREAD, iothread_stats_cb,
                        iothread_schemas_cb);
}

/* At start-up: the schema is there before the first IOThread is */
type_init(iothread_stats_register)
