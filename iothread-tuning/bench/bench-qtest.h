/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Port and memory access in QEMU's test protocol (-qtest stdio)
 */
#ifndef NEARMETAL_BENCH_QTEST_H
#define NEARMETAL_BENCH_QTEST_H

#include <stddef.h>
#include "bench.h"

typedef struct Qtest {
    int in;                     /* QEMU's answers */
    int out;                    /* QEMU's standard input */
    /* Called over and over while an answer is waited for */
    void (*idle)(void *opaque);
    void *opaque;
    size_t have;
    char buf[512];
} Qtest;

void qtest_out32(Qtest *qts, uint16_t port, uint32_t value);
uint32_t qtest_in32(Qtest *qts, uint16_t port);
/* @size: 1, 2, 4 or 8 */
void qtest_write(Qtest *qts, uint64_t addr, unsigned size, uint64_t value);
uint64_t qtest_read(Qtest *qts, uint64_t addr, unsigned size);

#endif /* NEARMETAL_BENCH_QTEST_H */
