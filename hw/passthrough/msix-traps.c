/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses to the BARs of vfio-pci devices that trap to QEMU
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * What is mapped into the guest never comes here.  The rest goes through the
 * callbacks of a memory region, which take microseconds; they are replaced by
 * ones that count first.  Callbacks of memory regions run under the big QEMU
 * lock, and so the counters need nothing else.
 */

#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include COMPAT_ADDRESS_SPACES_H
#include "hw/vfio/pci.h"
#include "msix-relocation.h"
#include "trap-spans.h"

/* The callbacks of a memory region, and what was there before */
typedef struct TrapHook {
    MemoryRegionOps ops;
    const MemoryRegionOps *real_ops;
    void *real_opaque;
    VFIOPCIDevice *vdev;
    unsigned step;      /* bytes that real_ops take at once */
    bool registers;     /* the device's own, nothing emulated */
    uint8_t bar;
    uint64_t offset;    /* of the memory region in the BAR */
} TrapHook;

/*
 * Where the guest put the BAR at the beginning of a host page,
 * vfio_sub_page_bar_update_mapping() lets it fill that page; unless something
 * else, such as another small BAR, is in there.
 */
static bool small_bar_fills_page(VFIOPCIDevice *vdev, uint8_t bar)
{
    const PCIIORegion *r = &PCI_DEVICE(vdev)->io_regions[bar];
    uint64_t page = qemu_real_host_page_size();
    MemoryRegionSection section;
    bool fills;

    if (r->addr == PCI_BAR_UNMAPPED || (r->addr & (page - 1))) {
        return false;
    }
    /* Bus addresses are physical ones on the machines with vfio-pci and ACPI */
    section = memory_region_find(get_system_memory(), r->addr, page);
    fills = section.mr == &vdev->bars[bar].region.mmaps[0].mem &&
            int128_get64(section.size) == page;
    if (section.mr) {
        memory_region_unref(section.mr);
    }
    return fills;
}

bool vfio_msix_trap_active(VFIOPCIDevice *vdev, const VFIOMsixTrap *trap)
{
    if (trap->pba) {
        return PCI_DEVICE(vdev)->msix_pba_mmio.enabled;
    }
    return !trap->small_bar || !small_bar_fills_page(vdev, trap->bar);
}

static VFIOMsixTrap *find_trap(const TrapHook *hook, hwaddr addr)
{
    GArray *traps = hook->vdev->msix_state->traps;

    for (guint i = 0; traps && i < traps->len; i++) {
        VFIOMsixTrap *t = &g_array_index(traps, VFIOMsixTrap, i);

        if (t->bar == hook->bar && addr + hook->offset - t->offset < t->size &&
            vfio_msix_trap_active(hook->vdev, t)) {
            return t;
        }
    }
    return NULL;
}

static bool in_pages(const TrapHook *hook, hwaddr addr, unsigned bar,
                     uint64_t offset, uint64_t size)
{
    uint64_t page = qemu_real_host_page_size();

    return bar == hook->bar && addr >= QEMU_ALIGN_DOWN(offset, page) &&
           addr < QEMU_ALIGN_UP(offset + size, page);
}

/* Registers that would not trap if table and PBA were not in their page */
static void count_shared(const TrapHook *hook, hwaddr addr)
{
    VFIOMsixState *s = hook->vdev->msix_state;
    const MsixLayout *l = &s->layout;

    if (!hook->registers || !l->entries ||
        vfio_msix_relocated(hook->vdev) ||
        !(in_pages(hook, addr, l->table_bar, l->table_offset,
                   msix_table_size(l->entries)) ||
          in_pages(hook, addr, l->pba_bar, l->pba_offset,
                   msix_pba_size(l->entries)))) {
        return;
    }
    if (!s->shared_accesses++) {
        s->shared_bar = hook->bar;
        s->shared_offset = addr;
    }
}

/* One access that the memory core would have split is one all the same */
static uint64_t trap_read(void *opaque, hwaddr addr, unsigned size)
{
    TrapHook *hook = opaque;
    VFIOMsixTrap *trap = find_trap(hook, addr);
    uint64_t value = 0;

    if (trap) {
        trap->reads++;
        count_shared(hook, addr + hook->offset);
    }
    for (unsigned at = 0; at < size; at += hook->step) {
        unsigned part = MIN(size - at, hook->step);
        uint64_t bits = hook->real_ops->read(hook->real_opaque, addr + at,
                                             part);

        value |= (bits & MAKE_64BIT_MASK(0, part * 8)) << (at * 8);
    }
    return value;
}

static void trap_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    TrapHook *hook = opaque;
    VFIOMsixTrap *trap = find_trap(hook, addr);

    if (trap) {
        trap->writes++;
        count_shared(hook, addr + hook->offset);
    }
    for (unsigned at = 0; at < size; at += hook->step) {
        unsigned part = MIN(size - at, hook->step);

        hook->real_ops->write(hook->real_opaque, addr + at,
                              (data >> (at * 8)) &
                              MAKE_64BIT_MASK(0, part * 8), part);
    }
}

/*
 * Take 8 bytes at once where they are valid, and a driver's access comes here
 * as one.  Without a maximum everything is valid.
 */
static void take_wide(TrapHook *hook)
{
    if (hook->ops.endianness != DEVICE_LITTLE_ENDIAN) {
        hook->step = 8;     /* as it comes */
        return;
    }
    hook->step = hook->ops.impl.max_access_size ?: 4;
    if (!hook->ops.valid.max_access_size) {
        hook->ops.valid.max_access_size = 8;
    }
    hook->ops.impl.max_access_size = MAX(hook->step,
                                         hook->ops.valid.max_access_size);
}

static void hook_region(VFIOPCIDevice *vdev, MemoryRegion *mr, uint8_t bar,
                        uint64_t offset, bool registers)
{
    TrapHook *hook;

    if (!mr->ops || !mr->ops->read || !mr->ops->write) {
        return;
    }
    hook = g_new(TrapHook, 1);
    *hook = (TrapHook) {
        .ops = *mr->ops, .real_ops = mr->ops, .real_opaque = mr->opaque,
        .vdev = vdev, .registers = registers, .bar = bar, .offset = offset,
    };
    take_wide(hook);
    hook->ops.read = trap_read;
    hook->ops.write = trap_write;
    mr->opaque = hook;
    mr->ops = &hook->ops;
    g_ptr_array_add(vdev->msix_state->hooks, hook);
}

static GArray *span_array(void)
{
    return g_array_new(false, false, sizeof(TrapSpan));
}

static void span_add(GArray *spans, uint64_t begin, uint64_t size)
{
    TrapSpan span = { begin, begin + size };

    g_array_append_val(spans, span);
}

/* Something emulated lies on the BAR */
static void emulated_add(VFIOPCIDevice *vdev, GArray *emulated,
                         MemoryRegion *mr, uint8_t bar, uint64_t offset)
{
    span_add(emulated, offset, memory_region_size(mr));
    hook_region(vdev, mr, bar, offset, false);
}

static void emulated_msix(VFIOPCIDevice *vdev, GArray *emulated, uint8_t bar)
{
    PCIDevice *pdev = PCI_DEVICE(vdev);
    const VFIOMSIXInfo *msix = vdev->msix;

    if (!(pdev->cap_present & QEMU_PCI_CAP_MSIX)) {
        return;
    }
    if (msix->table_bar == bar && pdev->msix_table_mmio.enabled) {
        emulated_add(vdev, emulated, &pdev->msix_table_mmio, bar,
                     msix->table_offset);
    }
    if (msix->pba_bar != bar) {
        return;
    }
    /* Elsewhere it is enabled only while a masked vector is pending */
    if (vfio_msix_relocated(vdev)) {
        emulated_add(vdev, emulated, &pdev->msix_pba_mmio, bar,
                     msix->pba_offset);
    } else {
        hook_region(vdev, &pdev->msix_pba_mmio, bar, msix->pba_offset, false);
    }
}

static void emulated_quirks(VFIOPCIDevice *vdev, GArray *emulated, uint8_t bar)
{
    VFIOQuirk *quirk;

    QLIST_FOREACH(quirk, &vdev->bars[bar].quirks, next) {
        for (int i = 0; i < quirk->nr_mem; i++) {
            MemoryRegion *mr = &quirk->mem[i];

            if (mr->container == vdev->bars[bar].region.mem) {
                emulated_add(vdev, emulated, mr, bar, mr->addr);
            }
        }
    }
}

/* What the host maps.  A small BAR fills its page when it is aligned. */
static void mapped_add(VFIOPCIDevice *vdev, GArray *mapped, uint8_t bar,
                       bool small)
{
    VFIORegion *region = &vdev->bars[bar].region;

    for (int i = 0; i < region->nr_mmaps; i++) {
        VFIOMmap *m = &region->mmaps[i];

        if (m->mmap) {
            span_add(mapped, m->offset,
                     small ? qemu_real_host_page_size() : m->size);
            hook_region(vdev, &m->mem, bar, m->offset, true);
        }
    }
}

static void trap_add(VFIOPCIDevice *vdev, uint8_t bar, TrapSpan span,
                     bool small_bar)
{
    VFIOMsixTrap trap = {
        .bar = bar, .offset = span.begin, .size = span.end - span.begin,
        .small_bar = small_bar,
    };

    g_array_append_val(vdev->msix_state->traps, trap);
}

static bool traps_cover(VFIOPCIDevice *vdev, uint8_t bar, uint64_t at)
{
    GArray *traps = vdev->msix_state->traps;

    for (guint i = 0; i < traps->len; i++) {
        VFIOMsixTrap *t = &g_array_index(traps, VFIOMsixTrap, i);

        if (t->bar == bar && at - t->offset < t->size) {
            return true;
        }
    }
    return false;
}

/* The PBA's pages, as far as they do not trap anyway */
static void trap_pba(VFIOPCIDevice *vdev, uint8_t bar)
{
    const MsixLayout *l = &vdev->msix_state->layout;
    uint64_t page = l->host_page_size;
    uint64_t end = l->pba_offset + msix_pba_size(l->entries);

    if (!(PCI_DEVICE(vdev)->cap_present & QEMU_PCI_CAP_MSIX) ||
        vfio_msix_relocated(vdev) || l->pba_bar != bar) {
        return;
    }
    for (uint64_t at = QEMU_ALIGN_DOWN(l->pba_offset, page); at < end;
         at += page) {
        VFIOMsixTrap trap = {
            .bar = bar, .offset = at, .pba = true,
            .size = MIN(page, vdev->bars[bar].size - at),
        };

        if (!traps_cover(vdev, bar, at)) {
            g_array_append_val(vdev->msix_state->traps, trap);
        }
    }
}

static gint by_place(gconstpointer a, gconstpointer b)
{
    const VFIOMsixTrap *one = a, *two = b;

    return one->bar != two->bar ? one->bar - two->bar :
           one->offset < two->offset ? -1 : one->offset > two->offset;
}

static void traps_of_bar(VFIOPCIDevice *vdev, uint8_t bar)
{
    VFIORegion *region = &vdev->bars[bar].region;
    uint64_t page = qemu_real_host_page_size();
    uint64_t size = vdev->bars[bar].size;
    /* The whole of it can be mapped, see vfio_sub_page_bar_update_mapping() */
    bool small = region->size && region->size < page &&
                 region->nr_mmaps == 1 && region->mmaps[0].mmap &&
                 region->mmaps[0].size == region->size;
    g_autoptr(GArray) mapped = span_array();
    g_autoptr(GArray) emulated = span_array();
    g_autoptr(GArray) spans = NULL;

    emulated_msix(vdev, emulated, bar);
    emulated_quirks(vdev, emulated, bar);
    mapped_add(vdev, mapped, bar, small);
    if (region->size && region->mem) {
        hook_region(vdev, region->mem, bar, 0, true);
    }
    spans = trap_spans(MAX(size, small ? page : 0), page, mapped, emulated);
    if (small && !(spans->len && !g_array_index(spans, TrapSpan, 0).begin)) {
        trap_add(vdev, bar, (TrapSpan) { 0, region->size }, true);
    }
    for (guint i = 0; i < spans->len; i++) {
        TrapSpan span = g_array_index(spans, TrapSpan, i);

        span.end = MIN(span.end, size);
        trap_add(vdev, bar, span, false);
    }
    trap_pba(vdev, bar);
}

void vfio_msix_traps_init(VFIOPCIDevice *vdev)
{
    VFIOMsixState *s = vdev->msix_state;

    s->traps = g_array_new(false, false, sizeof(VFIOMsixTrap));
    s->hooks = g_ptr_array_new_with_free_func(g_free);
    for (int i = 0; i < PCI_ROM_SLOT; i++) {
        if (vdev->bars[i].size) {
            traps_of_bar(vdev, i);
        }
    }
    g_array_sort(s->traps, by_place);
}
