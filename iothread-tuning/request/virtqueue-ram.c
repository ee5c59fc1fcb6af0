/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The guest RAM that a virtqueue's buffers are in, without looking each one up
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/rcu.h"
#include "hw/virtio/virtio.h"
#include "system/xen.h"
#include "ram-window.h"
#include "virtqueue-ram.h"

/* Behind an IOMMU nothing is found, and looking costs more than it saves */
#define MISSES_MAX 64

/* What a window is of, for as long as the caches or an element need it */
typedef struct VirtQueueRegion {
    struct rcu_head rcu;
    VirtQueueRam *ram;
    /* With a reference to the region, and none to a FlatView: that would keep
       regions that have been removed */
    MemoryRegionCache cache;
    /* That have buffers there; of the thread that serves the queue */
    unsigned elements;
    /* Atomic: one of the queue's caches, one for all elements together */
    int refs;
} VirtQueueRegion;

struct VirtQueueRam {
    AddressSpace *as;
    /* All of the thread that serves the queue, until the caches are gone */
    RamWindows windows;
    VirtQueueRegion *region[RAM_WINDOWS];
    unsigned misses;
    /* Windows of the element that is being popped, by bits */
    uint16_t taken;
    /* Atomic: one of the queue's caches, one of each region */
    int refs;
};

QEMU_BUILD_BUG_ON(RAM_WINDOWS > 16);

VirtQueueRam *virtqueue_ram_new(AddressSpace *as)
{
    VirtQueueRam *ram;

#ifdef CONFIG_FUZZ
    /* address_space_map() is where the fuzzer fills the guest's memory */
    return NULL;
#endif
    if (xen_enabled()) {
        return NULL;
    }
    ram = g_new0(VirtQueueRam, 1);
    ram->as = as;
    ram->refs = 1;
    return ram;
}

static void virtqueue_ram_drop(VirtQueueRam *ram)
{
    if (qatomic_fetch_dec(&ram->refs) == 1) {
        g_free(ram);
    }
}

static void virtqueue_region_free(VirtQueueRegion *region)
{
    memory_region_unref(region->cache.mrs.mr);
    virtqueue_ram_drop(region->ram);
    g_free(region);
}

/* The last one may be an IOThread; regions go with the BQL, in call_rcu */
static void virtqueue_region_unref(VirtQueueRegion *region)
{
    if (qatomic_fetch_dec(&region->refs) == 1) {
        call_rcu(region, virtqueue_region_free, rcu);
    }
}

void virtqueue_ram_unref(VirtQueueRam *ram)
{
    if (!ram) {
        return;
    }
    for (unsigned i = 0; i < ram->windows.count; i++) {
        virtqueue_region_unref(ram->region[i]);
    }
    virtqueue_ram_drop(ram);
}

static VirtQueueRegion *virtqueue_region_new(VirtQueueRam *ram,
                                             const MemoryRegionCache *found,
                                             const RamWindow *window)
{
    VirtQueueRegion *region = g_new0(VirtQueueRegion, 1);

    memory_region_ref(found->mrs.mr);
    region->cache = (MemoryRegionCache) {
        .ptr = window->host,
        .xlat = found->mrs.offset_within_region,
        .len = window->size,
        .mrs.mr = found->mrs.mr,
        .is_write = true,
    };
    region->refs = 1;
    region->ram = ram;
    qatomic_inc(&ram->refs);
    return region;
}

/* The section of memory that @addr is in, if a device may write to it */
static int virtqueue_ram_add(VirtQueueRam *ram, hwaddr addr)
{
    MemoryRegionCache found;
    hwaddr before;
    int i = -1;

    if (ram->misses == MISSES_MAX || ram->windows.count == RAM_WINDOWS) {
        return -1;
    }
    address_space_cache_init(&found, ram->as, addr, 1, true);
    if (found.ptr) {
        before = found.xlat - found.mrs.offset_within_region;
        i = ram_windows_add(&ram->windows, addr - before,
                            int128_get64(found.mrs.size),
                            (uint8_t *)found.ptr - before);
    } else {
        ram->misses++;
    }
    if (i >= 0) {
        ram->region[i] = virtqueue_region_new(ram, &found,
                                              &ram->windows.range[i]);
    }
    address_space_cache_destroy(&found);
    return i;
}

/* The window that has all of it, or -1 */
static int virtqueue_ram_find(VirtQueueRam *ram, hwaddr addr, hwaddr size)
{
    int i = ram_windows_find(&ram->windows, addr, size);

    /* What begins in one that is known ends beyond it */
    if (unlikely(i < 0) && ram_windows_find(&ram->windows, addr, 1) < 0 &&
        virtqueue_ram_add(ram, addr) >= 0) {
        i = ram_windows_find(&ram->windows, addr, size);
    }
    return i;
}

static void *virtqueue_ram_host(const VirtQueueRam *ram, int i, hwaddr addr)
{
    return ram->windows.range[i].host + (addr - ram->windows.range[i].start);
}

/* A device moves the ends of buffers, and never beyond them */
static VirtQueueRegion *virtqueue_ram_region(VirtQueueRam *ram, void *host)
{
    int i = ram_windows_find_host(&ram->windows, host);

    assert(i >= 0);
    return ram->region[i];
}

/* Make buffers that were found here such of address_space_map() */
static void virtqueue_ram_leave(VirtQueueRam *ram, const struct iovec *iov,
                                const struct iovec *end)
{
    for (; iov < end; iov++) {
        memory_region_ref(virtqueue_ram_region(ram,
                                               iov->iov_base)->cache.mrs.mr);
    }
}

VirtQueueRam *virtqueue_ram_begin(VirtQueueRam *ram)
{
    if (ram) {
        ram->taken = 0;
    }
    return ram;
}

void *virtqueue_ram_take(VirtQueueRam **ram, const struct iovec *first,
                         const struct iovec *next, hwaddr addr, hwaddr size)
{
    int i;

    if (!*ram) {
        return NULL;
    }
    i = virtqueue_ram_find(*ram, addr, size);
    if (i < 0) {
        virtqueue_ram_leave(*ram, first, next);
        *ram = NULL;
        return NULL;
    }
    (*ram)->taken |= 1 << i;
    return virtqueue_ram_host(*ram, i, addr);
}

void virtqueue_ram_hold(VirtQueueRam *ram, VirtQueueElement *elem)
{
    VirtQueueRegion *region;

    elem->ram = ram;
    if (!ram) {
        return;
    }
    elem->ram_windows = ram->taken;
    for (uint16_t rest = ram->taken; rest; rest &= rest - 1) {
        region = ram->region[ctz32(rest)];
        if (!region->elements++) {
            qatomic_inc(&region->refs);
        }
    }
}

static void virtqueue_ram_release(VirtQueueRam *ram, uint16_t windows)
{
    VirtQueueRegion *region;

    for (; windows; windows &= windows - 1) {
        region = ram->region[ctz32(windows)];
        assert(region->elements);
        if (!--region->elements) {
            virtqueue_region_unref(region);
        }
    }
}

static void virtqueue_ram_written(VirtQueueRam *ram, void *host, hwaddr size)
{
    MemoryRegionCache *cache = &virtqueue_ram_region(ram, host)->cache;

    /* Most of the time nobody wants to know */
    if (unlikely(memory_region_get_dirty_log_mask(cache->mrs.mr))) {
        address_space_cache_invalidate(cache, (uint8_t *)host -
                                       (uint8_t *)cache->ptr, size);
    }
}

void virtqueue_ram_unmap(const VirtQueueElement *elem, size_t size)
{
    for (unsigned i = 0; i < elem->in_num && size; i++) {
        size_t part = MIN(size, elem->in_sg[i].iov_len);

        if (part) {
            virtqueue_ram_written(elem->ram, elem->in_sg[i].iov_base, part);
            size -= part;
        }
    }
    /* Last: the element may be the last one that keeps it */
    virtqueue_ram_release(elem->ram, elem->ram_windows);
}

int64_t virtqueue_ram_cache_init(VirtQueueRam *ram, MemoryRegionCache *cache,
                                 AddressSpace *as, hwaddr addr, hwaddr size)
{
    int i = ram ? virtqueue_ram_find(ram, addr, size) : -1;

    if (i < 0) {
        return address_space_cache_init(cache, as, addr, size, false);
    }
    /* Without a region, address_space_cache_destroy() has nothing to do */
    address_space_cache_init_empty(cache);
    cache->ptr = virtqueue_ram_host(ram, i, addr);
    cache->len = size;
    return size;
}
