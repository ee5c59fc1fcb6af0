/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Traces of real runs
 */
#include <glib.h>
#include <string.h>
#include "iothread-tuning/sim/sim.h"

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

static bool parse_line(const char *line, GArray *events)
{
    SimTraceEvent e = {};
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
        g_array_append_val(events, e);
    }
    return true;
}

static int compare_events(gconstpointer a, gconstpointer b)
{
    const SimTraceEvent *x = a, *y = b;

    return (x->ns > y->ns) - (x->ns < y->ns);
}

static bool read_events(FILE *f, GArray *events, const char *path)
{
    char line[256];

    for (int number = 1; fgets(line, sizeof(line), f); number++) {
        if (!parse_line(line, events)) {
            fprintf(stderr, "%s:%d: not 'ns kick' or 'ns completion'\n", path,
                    number);
            return false;
        }
    }
    if (!events->len) {
        fprintf(stderr, "%s: no events\n", path);
    }
    return events->len > 0;
}

/* Their times become those since the first one, and gaps */
static void trace_settle(SimTrace *trace)
{
    SimTraceEvent *e = (SimTraceEvent *)trace->events->data;

    g_array_sort(trace->events, compare_events);
    trace->closed = true;
    for (unsigned i = trace->events->len - 1; i; i--) {
        e[i].gap = MAX(e[i].ns - e[i - 1].ns - SIM_HANDLE_NS, 0);
        e[i].ns -= e[0].ns;
        trace->closed &= e[i].kind != e[i - 1].kind &&
                         e[i].device == e[i - 1].device;
    }
    e[0].ns = 0;
}

bool sim_trace_read(SimTrace *trace, const char *path)
{
    FILE *f = fopen(path, "r");
    bool ok;

    if (!f) {
        perror(path);
        return false;
    }
    trace->events = g_array_new(false, false, sizeof(SimTraceEvent));
    ok = read_events(f, trace->events, path);
    fclose(f);
    if (ok) {
        trace_settle(trace);
    }
    return ok;
}
