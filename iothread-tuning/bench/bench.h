/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Common to the files of the benchmark's driver
 */
#ifndef NEARMETAL_BENCH_H
#define NEARMETAL_BENCH_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US 1000ll
#define NS_PER_MS 1000000ll
#define NS_PER_S  1000000000ll

/* No answer for so long is an error */
#define BENCH_TIMEOUT_NS (10 * NS_PER_S)

/* Disks of one IOThread, and requests of each that can be under way */
#define BENCH_DISKS 4
#define BENCH_SLOTS 256
/* On the disk, requests are apart, or virtio-blk would merge them */
#define BENCH_STRIDE 8192

static inline int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* Prints one line of error and ends the process, and QEMU with it */
void __attribute__((noreturn, format(printf, 1, 2)))
bench_die(const char *fmt, ...);

#endif /* NEARMETAL_BENCH_H */
