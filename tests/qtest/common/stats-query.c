/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qnum.h"
#include "stats-query.h"

QList *stats_query(QTestState *qts, const char *json)
{
    QDict *rsp = qtest_qmp(qts, "%p", qobject_from_json(json, &error_abort));
    QList *list;

    g_assert(qdict_haskey(rsp, "return"));
    list = qobject_ref(qdict_get_qlist(rsp, "return"));
    qobject_unref(rsp);
    return list;
}

static QObject *stat_get(QTestState *qts, const char *path, const char *name)
{
    g_autofree char *json =
        g_strdup_printf(QUERY_IOTHREAD(", 'iothreads': ['%s'], 'providers': "
                                       "[{'provider': 'iothread', "
                                       "'names': ['%s']}]"), path, name);
    QList *list = stats_query(qts, json);
    QDict *result = qobject_to(QDict, qlist_peek(list));
    QDict *stats;
    QObject *value;

    g_assert_cmpuint(qlist_size(list), ==, 1);
    g_assert_cmpstr(qdict_get_str(result, "qom-path"), ==, path);
    g_assert_cmpstr(qdict_get_str(result, "provider"), ==, "iothread");
    g_assert_cmpuint(qlist_size(qdict_get_qlist(result, "stats")), ==, 1);
    stats = qobject_to(QDict, qlist_peek(qdict_get_qlist(result, "stats")));
    g_assert_cmpstr(qdict_get_str(stats, "name"), ==, name);
    value = qobject_ref(qdict_get(stats, "value"));
    qobject_unref(list);
    return value;
}

uint64_t stats_counter(QTestState *qts, const char *path, const char *name)
{
    QObject *value = stat_get(qts, path, name);
    uint64_t n = qnum_get_uint(qobject_to(QNum, value));

    qobject_unref(value);
    return n;
}

uint64_t stats_histogram_total(QTestState *qts, const char *path)
{
    QObject *value = stat_get(qts, path, "wait-histogram");
    QList *list = qobject_to(QList, value);
    const QListEntry *entry;
    uint64_t total = 0;

    g_assert_cmpuint(qlist_size(list), ==, STATS_WAIT_BUCKETS);
    QLIST_FOREACH_ENTRY(list, entry) {
        total += qnum_get_uint(qobject_to(QNum, qlist_entry_obj(entry)));
    }
    qobject_unref(value);
    return total;
}
