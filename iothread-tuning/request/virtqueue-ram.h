/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The guest RAM that a virtqueue's buffers are in, without looking each one up
 *
 * What a VirtQueueRam knows is as old as the caches of the queue's rings, and
 * is replaced together with them whenever guest memory changes.  Elements that
 * were popped before keep the regions that their buffers are in, and no others.
 * What is no plain RAM, or is behind an IOMMU, is left to address_space_map().
 *
 * Called by the thread that serves the queue, which serializes pop and push,
 * but for virtqueue_ram_new() and virtqueue_ram_unref(): those of the main
 * thread with the BQL, and of call_rcu.
 */
#ifndef IOTHREAD_TUNING_VIRTQUEUE_RAM_H
#define IOTHREAD_TUNING_VIRTQUEUE_RAM_H

#include "hw/nearmetal/compat.h"
#include COMPAT_MEMORY_H

typedef struct VirtQueueElement VirtQueueElement;
typedef struct VirtQueueRam VirtQueueRam;

/**
 * virtqueue_ram_new: that of the present memory of @as
 *
 * Returns: with one reference, of the caches; NULL under Xen, where RAM is
 *          mapped piece by piece
 */
VirtQueueRam *virtqueue_ram_new(AddressSpace *as);

/**
 * virtqueue_ram_unref: the caches are gone, a grace period ago
 * @ram: may be NULL; what no element uses goes now
 */
void virtqueue_ram_unref(VirtQueueRam *ram);

/**
 * virtqueue_ram_begin: an element is about to be popped
 * @ram: of the present caches; may be NULL
 *
 * Returns: @ram
 */
VirtQueueRam *virtqueue_ram_begin(VirtQueueRam *ram);

/**
 * virtqueue_ram_take: a buffer of an element that is being popped
 * @ram: of the present caches; NULL from then on if it does not have the buffer
 * @first: the buffers of the element so far, which came of *@ram and now have
 *         to be unmapped by address_space_unmap()
 * @next: behind the last of them
 *
 * Called within rcu_read_lock().
 *
 * Returns: where [@addr, @addr + @size) is, or NULL: map it
 */
void *virtqueue_ram_take(VirtQueueRam **ram, const struct iovec *first,
                         const struct iovec *next, hwaddr addr, hwaddr size);

/**
 * virtqueue_ram_hold: the element has been popped
 * @ram: what all its buffers came of since virtqueue_ram_begin(), or NULL
 *
 * Within the same rcu_read_lock() as virtqueue_ram_take().
 */
void virtqueue_ram_hold(VirtQueueRam *ram, VirtQueueElement *elem);

/**
 * virtqueue_ram_unmap: an element that has elem->ram has been used
 * @size: how many bytes the device wrote to its buffers
 */
void virtqueue_ram_unmap(const VirtQueueElement *elem, size_t size);

/**
 * virtqueue_ram_cache_init: address_space_cache_init(), to read @size bytes
 * @ram: of the present caches, or NULL
 *
 * Called within rcu_read_lock(), which the cache does not outlive.
 *
 * Returns: how many bytes it has
 */
int64_t virtqueue_ram_cache_init(VirtQueueRam *ram, MemoryRegionCache *cache,
                                 AddressSpace *as, hwaddr addr, hwaddr size);

#endif /* IOTHREAD_TUNING_VIRTQUEUE_RAM_H */
