/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The spinning thread that is guest and disk, and what it measures
 */
#ifndef NEARMETAL_BENCH_LOAD_H
#define NEARMETAL_BENCH_LOAD_H

#include "bench-child.h"
#include "bench-disk.h"
#include "bench-virtqueue.h"

typedef enum LoadMode {
    LOAD_CLOSED,        /* depth requests of each disk, always */
    LOAD_PERIODIC,      /* depth requests of each disk, a pause, and again */
    LOAD_IDLE,          /* closed until it is measured, then none */
} LoadMode;

typedef struct LoadParams {
    LoadMode mode;
    unsigned depth;
    unsigned disks;
    int64_t period_ns;
    int64_t warm_ns;
    int64_t run_ns;
    uint64_t seed;
    DiskModel model;
} LoadParams;

typedef struct LoadResult {
    int64_t ns;                 /* measured */
    uint64_t requests;
    uint64_t kicks;
    uint64_t errors;
    double mean_ns;             /* added latency: without the disk's own */
    double p50_ns;
    double p99_ns;
    ThreadUse iothread;
    int64_t driver_cpu_ns;      /* less than @ns: somebody disturbed it */
    int64_t idle_ns;            /* of the CPUs of driver and IOThread */
} LoadResult;

typedef struct Load {
    Child child;
    Disk disk;
    VirtQueue queues[BENCH_DISKS];
    Trace *trace;               /* may be NULL */
    unsigned n_queues;
    int driver_cpu;
    int iothread_cpu;
    int nice;                   /* of the IOThread; 0: as it is */
    uint32_t pinned_tid;
    /* Added latency of each request measured */
    int32_t *added_ns;
    uint64_t n_added;
} Load;

/* Runs the load; ends the process when the device stops working */
void load_run(Load *load, const LoadParams *params, LoadResult *result);

#endif /* NEARMETAL_BENCH_LOAD_H */
