/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * When the IOThread gets which event
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include "bench-trace.h"

#define TRACE_MAX (4 * 1024 * 1024)

typedef struct TraceEntry {
    int64_t ns;
    uint32_t count;
    uint16_t source;
    uint16_t kind;
} TraceEntry;

struct Trace {
    uint32_t n;
    TraceEntry entries[TRACE_MAX];
};

Trace *trace_new(void)
{
    return g_new0(Trace, 1);
}

void trace_free(Trace *trace)
{
    g_free(trace);
}

void trace_record(Trace *trace, TraceKind kind, unsigned source,
                  unsigned count)
{
    if (trace->n < TRACE_MAX) {
        trace->entries[trace->n++] = (TraceEntry) {
            .ns = now_ns(),
            .count = count,
            .source = source,
            .kind = kind,
        };
    }
}

void trace_reset(Trace *trace)
{
    if (trace) {
        trace->n = 0;
    }
}

void trace_write(const Trace *trace, const char *path, const char *comment)
{
    static const char *const names[] = { "avail", "kick", "done" };
    FILE *f = fopen(path, "w");

    if (!f) {
        bench_die("cannot write %s: %m", path);
    }
    fprintf(f, "# %s\n# ns kind source count\n", comment);
    for (uint32_t i = 0; i < trace->n; i++) {
        const TraceEntry *e = &trace->entries[i];

        fprintf(f, "%" PRId64 " %s %u %u\n", e->ns, names[e->kind], e->source,
                e->count);
    }
    if (fclose(f)) {
        bench_die("cannot write %s: %m", path);
    }
}
