/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Statistics provider "tpm" for query-stats: the counters of the machine's TPM
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "qemu/module.h"
#include "qom/object.h"
#include "system/stats.h"
#include "system/tpm_backend.h"
#include "backend-state.h"

typedef struct TpmMetric {
    const char *name;
    size_t offset;              /* of an uint64_t in TpmTally */
    StatsType type;
    bool bytes;
    bool nanoseconds;
} TpmMetric;

#define METRIC(member) offsetof(TpmTally, member)

static const TpmMetric tpm_metrics[] = {
    { "commands", METRIC(commands), STATS_TYPE_CUMULATIVE },
    { "responses", METRIC(answered), STATS_TYPE_CUMULATIVE },
    { "errors", METRIC(errors), STATS_TYPE_CUMULATIVE },
    { "cancels", METRIC(cancels), STATS_TYPE_CUMULATIVE },
    { "bytes-in", METRIC(bytes_in), STATS_TYPE_CUMULATIVE, .bytes = true },
    { "bytes-out", METRIC(bytes_out), STATS_TYPE_CUMULATIVE,
      .bytes = true },
    { "busy-ns", METRIC(busy_ns), STATS_TYPE_CUMULATIVE,
      .nanoseconds = true },
    { "latency-peak-ns", METRIC(peak_ns), STATS_TYPE_PEAK,
      .nanoseconds = true },
};

static Stats *metric_value(const TpmTally *tally, const TpmMetric *metric)
{
    Stats *stats = g_new0(Stats, 1);

    stats->name = g_strdup(metric->name);
    stats->value = g_new0(StatsValue, 1);
    stats->value->type = QTYPE_QNUM;
    stats->value->u.scalar = *(const uint64_t *)((const char *)tally +
                                                 metric->offset);
    return stats;
}

static void tpm_stats_cb(StatsResultList **results, StatsTarget target,
                         strList *names, strList *targets, Error **errp)
{
    StatsList *list = NULL, **tail = &list;
    TPMBackend *tb = tpm_backend_in_use();

    if (target != STATS_TARGET_VM || !tb) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(tpm_metrics); i++) {
        if (apply_str_list_filter(tpm_metrics[i].name, names)) {
            QAPI_LIST_APPEND(tail, metric_value(&tb->extra.tally,
                                                &tpm_metrics[i]));
        }
    }
    if (list) {
        add_stats_entry(results, STATS_PROVIDER_TPM, NULL, list);
    }
}

static StatsSchemaValue *metric_schema(const TpmMetric *metric)
{
    StatsSchemaValue *schema = g_new0(StatsSchemaValue, 1);

    schema->name = g_strdup(metric->name);
    schema->type = metric->type;
    schema->has_unit = metric->bytes || metric->nanoseconds;
    schema->unit = metric->bytes ? STATS_UNIT_BYTES : STATS_UNIT_SECONDS;
    schema->has_base = metric->nanoseconds;
    schema->base = 10;
    schema->exponent = metric->nanoseconds ? -9 : 0;
    return schema;
}

static void tpm_schemas_cb(StatsSchemaList **results, Error **errp)
{
    StatsSchemaValueList *list = NULL, **tail = &list;

    for (unsigned i = 0; i < ARRAY_SIZE(tpm_metrics); i++) {
        QAPI_LIST_APPEND(tail, metric_schema(&tpm_metrics[i]));
    }
    add_stats_schema(results, STATS_PROVIDER_TPM, STATS_TARGET_VM, list);
}

static void tpm_stats_register(void)
{
    add_stats_callbacks(STATS_PROVIDER_TPM, tpm_stats_cb, tpm_schemas_cb);
}

type_init(tpm_stats_register)
