/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The programmable disk: completes what the shim hands over, after a latency
 */
#ifndef NEARMETAL_BENCH_DISK_H
#define NEARMETAL_BENCH_DISK_H

#include <glib.h>
#include <stdbool.h>
#include "bench.h"
#include "bench-shm.h"
#include "bench-trace.h"

/* How long it takes: @low_ns, but @high_ns for @high_percent of requests */
typedef struct DiskModel {
    int64_t low_ns;
    int64_t high_ns;
    unsigned high_percent;
    unsigned jitter_percent;    /* more or less, uniformly */
} DiskModel;

typedef struct DiskPending {
    int64_t due_ns;
    uint64_t obj;
    uint64_t data;
    uint64_t bytes;
    unsigned context;
} DiskPending;

typedef struct Disk {
    BenchShm *shm;
    int pidfd;                  /* of QEMU, whose eventfds are signalled */
    Trace *trace;               /* may be NULL */
    DiskModel model;
    GRand *random;
    uint32_t tid;               /* thread that submitted last, 0 for none */
    uint32_t taken[BENCH_CONTEXTS];
    int remote_fd[BENCH_CONTEXTS];
    int local_fd[BENCH_CONTEXTS];
    /* A heap: the next one due is the first */
    DiskPending pending[BENCH_CONTEXTS * BENCH_RING_SIZE];
    unsigned n_pending;
    /* Latency given to the last request of each slot (offset on the disk) */
    int64_t latency_ns[BENCH_DISKS * BENCH_SLOTS];
} Disk;

void disk_init(Disk *disk, BenchShm *shm, int pidfd);
void disk_program(Disk *disk, const DiskModel *model, uint64_t seed);

/* Takes over what was submitted and completes what is due at @now */
void disk_serve(Disk *disk, int64_t now);

/* Is @fd, a number of QEMU's, what completions are signalled with? */
bool disk_has_eventfd(const Disk *disk, int fd);

/* Requests that it has, and completions that QEMU has not picked up */
void disk_count(const Disk *disk, unsigned *pending, unsigned *unseen);

#endif /* NEARMETAL_BENCH_DISK_H */
