/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The driver's side of a virtio-blk queue
 *
 * Hosts and guests of this benchmark are little-endian, as virtio 1.0 is.
 */
#include <linux/virtio_blk.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include "bench-virtqueue.h"

#define BLOCK     4096
#define AVAIL_AT  (2 * BLOCK)
#define USED_AT   (4 * BLOCK)
#define SLOTS_AT  (8 * BLOCK)
#define DATA_AT   (32 * BLOCK)

/* How far behind the ring the index is that the device may interrupt at */
#define NEVER     0x8000
#define RENEW     0x1000

typedef struct VirtQueueSlot {
    struct vring_desc desc[3];
    struct virtio_blk_outhdr header;
    uint8_t status;
} __attribute__((aligned(128))) VirtQueueSlot;

_Static_assert(DATA_AT + QUEUE_SIZE * BLOCK <= QUEUE_BYTES, "memory");
_Static_assert(SLOTS_AT + QUEUE_SIZE * sizeof(VirtQueueSlot) <= DATA_AT,
               "slots");

uint64_t vq_desc_guest(const VirtQueue *vq)
{
    return vq->guest;
}

uint64_t vq_avail_guest(const VirtQueue *vq)
{
    return vq->guest + AVAIL_AT;
}

uint64_t vq_used_guest(const VirtQueue *vq)
{
    return vq->guest + USED_AT;
}

static void vq_init_slot(VirtQueue *vq, unsigned i)
{
    VirtQueueSlot *slot = &vq->slots[i];
    uint64_t guest = vq->guest + SLOTS_AT + i * sizeof(*slot);

    slot->header.type = VIRTIO_BLK_T_IN;
    slot->header.sector =
        (vq->disk * BENCH_SLOTS + i) * (BENCH_STRIDE / 512);
    slot->desc[0] = (struct vring_desc) {
        .addr = guest + offsetof(VirtQueueSlot, header),
        .len = sizeof(slot->header),
        .flags = VRING_DESC_F_NEXT,
        .next = 1,
    };
    slot->desc[1] = (struct vring_desc) {
        .addr = vq->guest + DATA_AT + i * BLOCK,
        .len = BLOCK,
        .flags = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
        .next = 2,
    };
    slot->desc[2] = (struct vring_desc) {
        .addr = guest + offsetof(VirtQueueSlot, status),
        .len = sizeof(slot->status),
        .flags = VRING_DESC_F_WRITE,
    };
    vq->desc[i] = (struct vring_desc) {
        .addr = guest,
        .len = sizeof(slot->desc),
        .flags = VRING_DESC_F_INDIRECT,
    };
}

void vq_init(VirtQueue *vq, unsigned disk, void *ram, uint64_t guest)
{
    memset(vq, 0, sizeof(*vq));
    vq->disk = disk;
    vq->guest = guest;
    vq->memory = ram + guest;
    vq->kick_fd = -1;
    vq->desc = vq->memory;
    vq->avail = vq->memory + AVAIL_AT;
    vq->used = vq->memory + USED_AT;
    vq->slots = vq->memory + SLOTS_AT;
    memset(vq->memory, 0, QUEUE_BYTES);
    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        vq_init_slot(vq, i);
        /* The slot used last is taken first: it is in the cache */
        vq->free[vq->n_free++] = QUEUE_SIZE - 1 - i;
    }
    vq->avail->ring[QUEUE_SIZE] = NEVER;
}

void vq_add(VirtQueue *vq, int64_t now)
{
    uint16_t slot = vq->free[--vq->n_free];

    vq->slots[slot].status = 0xff;
    vq->start_ns[slot] = now;
    vq->avail->ring[vq->avail_idx++ % QUEUE_SIZE] = slot;
}

void vq_publish_silently(VirtQueue *vq)
{
    vq->published = vq->avail_idx;
    /* The entries before the index (virtio 1.2, 2.7.13.3) */
    __atomic_store_n(&vq->avail->idx, vq->avail_idx, __ATOMIC_RELEASE);
}

void vq_publish(VirtQueue *vq)
{
    const uint16_t *avail_event = (uint16_t *)&vq->used->ring[QUEUE_SIZE];
    uint16_t old = vq->published;
    uint16_t event;
    uint64_t one = 1;

    if (old == vq->avail_idx) {
        return;
    }
    vq_publish_silently(vq);
    /* The index before the event index is read (virtio 1.2, 2.7.13.4) */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    event = __atomic_load_n(avail_event, __ATOMIC_RELAXED);
    if (!vring_need_event(event, vq->avail_idx, old)) {
        trace_add(vq->trace, TRACE_AVAIL, vq->disk,
                  (uint16_t)(vq->avail_idx - old));
        return;
    }
    trace_add(vq->trace, TRACE_KICK, vq->disk,
              (uint16_t)(vq->avail_idx - old));
    vq->kicks++;
    if (write(vq->kick_fd, &one, sizeof(one)) != sizeof(one)) {
        bench_die("cannot kick: %m");
    }
}

int vq_reap(VirtQueue *vq)
{
    uint16_t slot;

    if (__atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE) == vq->used_idx) {
        return -1;
    }
    slot = vq->used->ring[vq->used_idx % QUEUE_SIZE].id;
    vq->used_idx++;
    if (vq->used_idx % RENEW == 0) {
        __atomic_store_n(&vq->avail->ring[QUEUE_SIZE],
                         (uint16_t)(vq->used_idx + NEVER), __ATOMIC_RELAXED);
    }
    if (slot >= QUEUE_SIZE) {
        bench_die("the device used an entry that does not exist");
    }
    vq->errors += vq->slots[slot].status != VIRTIO_BLK_S_OK;
    vq->free[vq->n_free++] = slot;
    return slot;
}
