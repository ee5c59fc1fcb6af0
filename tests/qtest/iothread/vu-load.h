/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A guest that writes and reads a disk at a queue depth of 32, and knows what
 * has to be there
 *
 * It drives the queue of the virtio-blk device at PCI slot 4 of a pc machine
 * through shared memory, in a thread of its own.  No block is in two requests
 * at a time.  Whatever is wrong ends the test.
 */
#ifndef NEARMETAL_QTEST_VU_LOAD_H
#define NEARMETAL_QTEST_VU_LOAD_H

#include "libqtest.h"

#define VU_LOAD_BLOCKS      1024
#define VU_LOAD_BLOCK_SIZE  4096

typedef struct VuLoad VuLoad;

/* @ram: the guest's RAM from address 0 as this process maps it */
VuLoad *vu_load_start(QTestState *qts, void *ram);

/* The guest's CPU stands still from here on, with requests under way */
void vu_load_pause(VuLoad *load);
void vu_load_resume(VuLoad *load);

/* Between them, after the machine was reset: its driver starts again */
void vu_load_restart(VuLoad *load);

/* How many requests have completed; from any thread */
uint64_t vu_load_completed(VuLoad *load);

/* Returns when the guest has got @n completions from now on */
void vu_load_progress(VuLoad *load, unsigned n);

/* The longest time without a completion since the last call, in microseconds */
int64_t vu_load_longest_gap(VuLoad *load);

/* Waits for all requests, ends the thread, and compares with @image */
void vu_load_stop(VuLoad *load, const char *image);

#endif /* NEARMETAL_QTEST_VU_LOAD_H */
