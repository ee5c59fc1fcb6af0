/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Finds a device's ioeventfd in QEMU
 *
 * QEMU makes it when the device is started, and hands it to KVM only.  With the
 * test accelerator nobody gets it, so: whichever eventfd appears at the start
 * and makes the device work when it is written to.
 */
#ifndef NEARMETAL_BENCH_KICK_H
#define NEARMETAL_BENCH_KICK_H

#include "bench-child.h"
#include "bench-disk.h"
#include "bench-virtqueue.h"

#define KICK_FDS 1024

typedef struct KickSearch {
    const Child *child;
    bool before[KICK_FDS];      /* was an eventfd before the start */
} KickSearch;

void kick_search_begin(KickSearch *search, const Child *child);

/* Returns: this process's copy of the eventfd; ends the process if none is */
int kick_search_end(KickSearch *search, Disk *disk, VirtQueue *vq);

/* Gives the device one request, and does not wait for it */
void kick_search_all(KickSearch *search, VirtQueue *vq);

#endif /* NEARMETAL_BENCH_KICK_H */
