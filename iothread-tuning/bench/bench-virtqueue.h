/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The driver's side of a virtio-blk queue in the guest's memory
 *
 * As Linux's driver does it: a split ring with indirect descriptors and event
 * indexes; the device is kicked only when it asked for it.  It never
 * interrupts: the used ring is polled.
 */
#ifndef NEARMETAL_BENCH_VIRTQUEUE_H
#define NEARMETAL_BENCH_VIRTQUEUE_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include "bench.h"
#include "bench-trace.h"

#define QUEUE_SIZE  BENCH_SLOTS
#define QUEUE_BYTES (4 * 1024 * 1024)   /* of guest memory for each queue */

typedef struct VirtQueue {
    unsigned disk;              /* its number */
    uint64_t guest;             /* guest address of the memory below */
    void *memory;
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    struct VirtQueueSlot *slots;    /* headers in guest memory */
    int kick_fd;
    uint16_t avail_idx;         /* what was added; published by vq_kick() */
    uint16_t published;
    uint16_t used_idx;
    uint64_t kicks;
    uint64_t errors;
    Trace *trace;               /* may be NULL */
    unsigned n_free;
    uint16_t free[QUEUE_SIZE];
    int64_t start_ns[QUEUE_SIZE];
} VirtQueue;

/* Guest addresses that the device is told */
uint64_t vq_desc_guest(const VirtQueue *vq);
uint64_t vq_avail_guest(const VirtQueue *vq);
uint64_t vq_used_guest(const VirtQueue *vq);

/**
 * vq_init: lay out queue and requests in guest memory
 * @ram: where this process has guest address 0
 * @guest: QUEUE_BYTES of guest memory
 */
void vq_init(VirtQueue *vq, unsigned disk, void *ram, uint64_t guest);

/* Adds a read of 4 KiB in a free slot; there must be one */
void vq_add(VirtQueue *vq, int64_t now);

/* Makes what was added visible, and kicks if the device asked for it */
void vq_publish(VirtQueue *vq);

/* Makes it visible but leaves the kick to the caller */
void vq_publish_silently(VirtQueue *vq);

/**
 * vq_reap: take the next used entry
 *
 * Returns: its slot, which is free again, or -1 if there is none
 */
int vq_reap(VirtQueue *vq);

static inline unsigned vq_in_flight(const VirtQueue *vq)
{
    return QUEUE_SIZE - vq->n_free;
}

#endif /* NEARMETAL_BENCH_VIRTQUEUE_H */
