/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What the benchmark's driver and the libaio shim inside QEMU share
 *
 * The shim hands requests over; the driver is the disk and completes them.
 * Each AIO context has a pair of rings, and each ring one reader and one
 * writer: the thread that owns the context, and the driver.
 */
#ifndef NEARMETAL_BENCH_SHM_H
#define NEARMETAL_BENCH_SHM_H

#include <linux/aio_abi.h>
#include <stdint.h>

/* Names the file descriptor of the shared memory in the shim's environment */
#define BENCH_SHM_ENV "NEARMETAL_BENCH_SHM"

#define BENCH_CONTEXTS 8
/* Twice what QEMU has in flight at most, so that no ring can overflow */
#define BENCH_RING_SIZE 2048

/* The kernel's completion ring (fs/aio.c), which QEMU reads without a call */
typedef struct AioRing {
    uint32_t id;
    uint32_t nr;
    uint32_t head;              /* written by QEMU */
    uint32_t tail;              /* written by the driver */
    uint32_t magic;
    uint32_t compat_features;
    uint32_t incompat_features;
    uint32_t header_length;
    struct io_event events[BENCH_RING_SIZE];
} AioRing;

#define AIO_RING_MAGIC 0xa10a10a1

typedef struct BenchRequest {
    uint64_t obj;               /* what the completion has to return */
    uint64_t data;
    uint64_t offset;            /* on the disk */
    uint64_t bytes;
    int64_t start_ns;           /* CLOCK_MONOTONIC at submission */
    int32_t eventfd;            /* of QEMU, to be signalled; -1 for none */
} BenchRequest;

typedef struct BenchContext {
    AioRing done;
    uint32_t in_use;
    uint32_t tid;               /* thread that submitted last */
    /* Free running count of requests handed over */
    uint32_t submitted __attribute__((aligned(64)));
    BenchRequest requests[BENCH_RING_SIZE] __attribute__((aligned(64)));
} BenchContext;

typedef struct BenchShm {
    BenchContext contexts[BENCH_CONTEXTS];
} BenchShm;

#endif /* NEARMETAL_BENCH_SHM_H */
