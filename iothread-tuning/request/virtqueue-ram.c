/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The guest RAM that a virtqueue's buffers are in, without looking each one up
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "system/xen.h"
#include "ram-window.h"
#include "virtqueue-ram.h"

/* Behind an IOMMU nothing is found, and looking costs more than it saves */
#define MISSES_MAX 64

struct VirtQueueRam {
    struct rcu_head rcu;
    AddressSpace *as;
    RamWindows windows;
    /* Addresses that are no RAM of one piece; of the thread as well */
    unsigned misses;
    /* Of each window: which region it is of, with a reference */
    MemoryRegionCache cache[RAM_WINDOWS];
    /* Elements that hold it; of the thread that serves the queue */
    unsigned elements;
    /* Atomic: one of the queue's caches, one for all elements together */
    int refs;
};

VirtQueueRam *virtqueue_ram_new(AddressSpace *as)
{
    VirtQueueRam *ram;

    if (xen_enabled()) {
        return NULL;
    }
    ram = g_new0(VirtQueueRam, 1);
    ram->as = as;
    ram->refs = 1;
    return ram;
}

static void virtqueue_ram_free(VirtQueueRam *ram)
{
    for (unsigned i = 0; i < ram->windows.count; i++) {
        memory_region_unref(ram->cache[i].mrs.mr);
    }
    g_free(ram);
}

/* The last one may be an IOThread; regions go with the BQL, as call_rcu has it */
void virtqueue_ram_unref(VirtQueueRam *ram)
{
    if (ram && qatomic_fetch_dec(&ram->refs) == 1) {
        call_rcu(ram, virtqueue_ram_free, rcu);
    }
}

/* The section of memory that @addr is in, if a device may write to it directly */
static int virtqueue_ram_add(VirtQueueRam *ram, hwaddr addr)
{
    MemoryRegionCache cache;
    hwaddr before;
    int i = -1;

    if (ram->misses == MISSES_MAX || ram->windows.count == RAM_WINDOWS) {
        return -1;
    }
    address_space_cache_init(&cache, ram->as, addr, 1, true);
    if (cache.ptr) {
        before = cache.xlat - cache.mrs.offset_within_region;
        i = ram_windows_add(&ram->windows, addr - before,
                            int128_get64(cache.mrs.size),
                            (uint8_t *)cache.ptr - before);
    }
    if (i >= 0) {
        /* Not the FlatView, which would keep regions that have been removed */
        ram->cache[i] = (MemoryRegionCache) {
            .ptr = ram->windows.range[i].host,
            .xlat = cache.mrs.offset_within_region,
            .len = ram->windows.range[i].size,
            .mrs.mr = cache.mrs.mr,
            .is_write = true,
        };
        memory_region_ref(cache.mrs.mr);
    } else {
        ram->misses++;
    }
    address_space_cache_destroy(&cache);
    return i;
}

static void *virtqueue_ram_find(VirtQueueRam *ram, hwaddr addr, hwaddr size)
{
    RamWindow *w;
    int i = ram_windows_find(&ram->windows, addr, size);

    if (unlikely(i < 0)) {
        i = virtqueue_ram_add(ram, addr);
        if (i < 0 || ram_windows_find(&ram->windows, addr, size) != i) {
            return NULL;
        }
    }
    w = &ram->windows.range[i];
    return w->host + (addr - w->start);
}

/* Make buffers that were found here such of address_space_map() */
static void virtqueue_ram_leave(VirtQueueRam *ram, const struct iovec *iov,
                                const struct iovec *end)
{
    int i;

    for (; iov < end; iov++) {
        i = ram_windows_find_host(&ram->windows, iov->iov_base);
        memory_region_ref(ram->cache[i].mrs.mr);
    }
}

void *virtqueue_ram_take(VirtQueueRam **ram, const struct iovec *first,
                         const struct iovec *next, hwaddr addr, hwaddr size)
{
    void *host = NULL;

    if (*ram) {
        host = virtqueue_ram_find(*ram, addr, size);
        if (!host) {
            virtqueue_ram_leave(*ram, first, next);
            *ram = NULL;
        }
    }
    return host;
}

VirtQueueRam *virtqueue_ram_hold(VirtQueueRam *ram)
{
    if (ram && !ram->elements++) {
        qatomic_inc(&ram->refs);
    }
    return ram;
}

static void virtqueue_ram_written(VirtQueueRam *ram, void *host, hwaddr size)
{
    int i = ram_windows_find_host(&ram->windows, host);
    MemoryRegionCache *cache = &ram->cache[i];

    /* Most of the time nobody wants to know */
    if (unlikely(memory_region_get_dirty_log_mask(cache->mrs.mr))) {
        address_space_cache_invalidate(cache, (uint8_t *)host -
                                       (uint8_t *)cache->ptr, size);
    }
}

void virtqueue_ram_unmap(VirtQueueRam *ram, const struct iovec *in,
                         unsigned count, size_t size)
{
    for (; count && size; count--, in++) {
        size_t part = MIN(size, in->iov_len);

        if (part) {
            virtqueue_ram_written(ram, in->iov_base, part);
            size -= part;
        }
    }
    if (!--ram->elements) {
        virtqueue_ram_unref(ram);
    }
}

int64_t virtqueue_ram_cache_init(VirtQueueRam *ram, MemoryRegionCache *cache,
                                 AddressSpace *as, hwaddr addr, hwaddr size)
{
    void *host = ram ? virtqueue_ram_find(ram, addr, size) : NULL;

    if (!host) {
        return address_space_cache_init(cache, as, addr, size, false);
    }
    /* Without a region, address_space_cache_destroy() has nothing to do */
    address_space_cache_init_empty(cache);
    cache->ptr = host;
    cache->len = size;
    return size;
}
