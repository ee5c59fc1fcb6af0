/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * When the IOThread gets which event, to be replayed by a simulation
 *
 * Text lines "NS KIND SOURCE COUNT": nanoseconds of CLOCK_MONOTONIC;
 * avail  the index of disk SOURCE's ring advanced by COUNT, without a kick
 * kick   the same, with a kick written
 * done   the disk completed COUNT requests of AIO context SOURCE
 */
#ifndef NEARMETAL_BENCH_TRACE_H
#define NEARMETAL_BENCH_TRACE_H

#include "bench.h"

typedef enum { TRACE_AVAIL, TRACE_KICK, TRACE_DONE } TraceKind;

typedef struct Trace Trace;

Trace *trace_new(void);
void trace_free(Trace *trace);
/* Does nothing when @trace is NULL or full */
void trace_record(Trace *trace, TraceKind kind, unsigned source,
                  unsigned count);
/* Forgets what was recorded */
void trace_reset(Trace *trace);
/* Writes the lines to @path, with @comment as a first line */
void trace_write(const Trace *trace, const char *path, const char *comment);

static inline void trace_add(Trace *trace, TraceKind kind, unsigned source,
                             unsigned count)
{
    if (__builtin_expect(trace != NULL, 0)) {
        trace_record(trace, kind, source, count);
    }
}

#endif /* NEARMETAL_BENCH_TRACE_H */
