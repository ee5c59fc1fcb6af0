/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * query-stats of IOThreads for qtests
 */
#ifndef NEARMETAL_QTEST_STATS_QUERY_H
#define NEARMETAL_QTEST_STATS_QUERY_H

#include "libqtest.h"
#include "qobject/qlist.h"

#define STATS_WAIT_BUCKETS 32

/* The command as JSON text; @extra: further arguments, with a leading comma */
#define QUERY_IOTHREAD(extra) \
    "{ 'execute': 'query-stats', 'arguments': { 'target': 'iothread'" extra "}}"

/* Runs @json and returns the reply's list, of which the caller gets a ref */
QList *stats_query(QTestState *qts, const char *json);

/* The value of the counter @name of the IOThread at QOM path @path */
uint64_t stats_counter(QTestState *qts, const char *path, const char *name);

/* How many events the wait-histogram of the IOThread at @path holds */
uint64_t stats_histogram_total(QTestState *qts, const char *path);

#endif /* NEARMETAL_QTEST_STATS_QUERY_H */
