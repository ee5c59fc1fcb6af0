/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wipe of the guest's memory that its OS asks for
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * What is kept over a power cycle is left alone, and so is what cannot be
 * written.  That memory is persistent is told by the section: an NVDIMM shows
 * a backend's region, which knows nothing of it, through an alias.
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include COMPAT_ADDRESS_SPACES_H
#include COMPAT_MEMORY_H
#include "exec/tb-flush.h"
#include "hw/core/cpu.h"
#include "qom/object.h"
#include "system/hostmem.h"
#include "system/tcg.h"
#include "trace/trace-hw_tpm.h"
#include "ppi-wipe.h"

typedef struct Wipe {
    MemoryListener listener;
    GPtrArray *kept;            /* MemoryRegion */
} Wipe;

/* Nothing in the region tells that virtio-pmem's is persistent */
static int keep_pmem(Object *obj, void *opaque)
{
    GPtrArray *kept = opaque;
    Object *memdev;

    if (object_dynamic_cast(obj, "virtio-pmem")) {
        memdev = object_property_get_link(obj, "memdev", NULL);
        if (memdev) {
            g_ptr_array_add(kept, &MEMORY_BACKEND(memdev)->mr);
        }
    }
    return 0;
}

static bool is_wiped(const Wipe *w, const MemoryRegionSection *section)
{
    MemoryRegion *mr = section->mr;

    return memory_region_is_ram(mr) && !memory_region_is_ram_device(mr) &&
           !section->nonvolatile && !memory_region_is_nonvolatile(mr) &&
           !memory_region_is_rom(mr) &&
           !g_ptr_array_find(w->kept, mr, NULL);
}

static int wipe_section(MemoryRegionSection *section, void *opaque)
{
    uint64_t size = int128_get64(section->size);
    uint8_t *host = memory_region_get_ram_ptr(section->mr);

    host += section->offset_within_region;
    trace_tpm_ppi_memset(host, size);
    memset(host, 0, size);
    memory_region_set_dirty(section->mr, section->offset_within_region, size);
    return 0;
}

static void wipe_region(MemoryListener *listener, MemoryRegionSection *section)
{
    Wipe *w = container_of(listener, Wipe, listener);
    RamDiscardManager *rdm;

    if (!is_wiped(w, section)) {
        return;
    }
    /* Of sparse memory only what the guest has of it */
    if (memory_region_has_ram_discard_manager(section->mr)) {
        rdm = memory_region_get_ram_discard_manager(section->mr);
        ram_discard_manager_replay_populated(rdm, section, wipe_section, NULL);
        return;
    }
    wipe_section(section, NULL);
}

void tpm_ppi_wipe(void)
{
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    Wipe w = {
        .listener = { .name = "tpm-ppi-wipe", .region_add = wipe_region },
        .kept = kept,
    };

    object_child_foreach_recursive(object_get_root(), keep_pmem, kept);
    memory_listener_register(&w.listener, &address_space_memory);
    memory_listener_unregister(&w.listener);
    if (tcg_enabled()) {
        /* What was translated from there is gone, too */
        queue_tb_flush(first_cpu);
    }
}
