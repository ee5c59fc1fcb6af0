/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Traces of real runs
 */
#include <glib.h>
#include <string.h>
#include "iothread-tuning/sim/sim.h"

typedef struct TraceEntry {
    int64_t ns;
    SimKind kind;
    int device;
} TraceEntry;

static bool parse_kind(const char *word, SimKind *kind)
{
    if (g_str_equal(word, "kick") || g_str_equal(word, "avail")) {
        *kind = SIM_KICK;
    } else if (g_str_equal(word, "completion") || g_str_equal(word, "done")) {
        *kind = SIM_COMPLETION;
    } else {
        return false;
    }
    return true;
}

static bool parse_line(const char *line, GArray *entries)
{
    TraceEntry e = {};
    char word[16];
    int source = 0, count = 1;

    if (strchr("#\n", *line)) {
        return true;
    }
    if (sscanf(line, "%" G_GINT64_FORMAT " %15s %d %d", &e.ns, word, &source,
               &count) < 2 || !parse_kind(word, &e.kind) || source < 0) {
        return false;
    }
    e.device = source % SIM_DEVICES;
    while (count-- > 0) {
        g_array_append_val(entries, e);
    }
    return true;
}

static int compare_entries(gconstpointer a, gconstpointer b)
{
    const TraceEntry *x = a, *y = b;

    return (x->ns > y->ns) - (x->ns < y->ns);
}

static SimTrace *trace_of_entries(GArray *entries)
{
    SimTrace *t = g_new0(SimTrace, 1);
    const TraceEntry *e = (TraceEntry *)entries->data;

    t->length = entries->len;
    t->gap = g_new0(int64_t, t->length);
    t->time = g_new0(int64_t, t->length);
    t->kind = g_new0(SimKind, t->length);
    t->device = g_new0(int, t->length);
    t->closed = true;
    for (int i = 0; i < t->length; i++) {
        t->time[i] = e[i].ns - e[0].ns;
        t->kind[i] = e[i].kind;
        t->device[i] = e[i].device;
        if (i) {
            t->gap[i] = MAX(e[i].ns - e[i - 1].ns - SIM_HANDLE_NS, 0);
            t->closed &= e[i].kind != e[i - 1].kind &&
                         e[i].device == e[i - 1].device;
        }
    }
    return t;
}

static bool read_entries(FILE *f, GArray *entries, const char *path)
{
    char line[256];

    for (int number = 1; fgets(line, sizeof(line), f); number++) {
        if (!parse_line(line, entries)) {
            fprintf(stderr, "%s:%d: not 'ns kick' or 'ns completion'\n", path,
                    number);
            return false;
        }
    }
    if (!entries->len) {
        fprintf(stderr, "%s: no events\n", path);
    }
    return entries->len > 0;
}

SimTrace *sim_trace_read(const char *path)
{
    g_autoptr(GArray) entries = g_array_new(false, false, sizeof(TraceEntry));
    FILE *f = fopen(path, "r");
    bool ok;

    if (!f) {
        perror(path);
        return NULL;
    }
    ok = read_entries(f, entries, path);
    fclose(f);
    if (!ok) {
        return NULL;
    }
    g_array_sort(entries, compare_entries);
    return trace_of_entries(entries);
}

void sim_trace_free(SimTrace *trace)
{
    if (trace) {
        g_free(trace->gap);
        g_free(trace->time);
        g_free(trace->kind);
        g_free(trace->device);
        g_free(trace);
    }
}
