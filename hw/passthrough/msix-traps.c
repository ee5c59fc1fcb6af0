/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses to the BARs of vfio-pci devices that trap to QEMU
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * What is mapped into the guest never comes here.  The rest goes through the
 * callbacks of a memory region, which take microseconds; MemoryRegion.accessed
 * is called before them.  Both run under the big QEMU lock, and so the counters
 * need nothing else.
 */

#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include COMPAT_ADDRESS_SPACES_H
#include "hw/vfio/pci.h"
#include "qemu/range.h"
#include "msix-relocation.h"

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

static VFIOMsixTrap *active_trap(VFIOPCIDevice *vdev, uint8_t bar, uint64_t at)
{
    GArray *traps = vdev->msix_state->traps;

    for (guint i = 0; traps && i < traps->len; i++) {
        VFIOMsixTrap *t = &g_array_index(traps, VFIOMsixTrap, i);

        if (t->bar == bar && at - t->offset < t->size &&
            vfio_msix_trap_active(vdev, t)) {
            return t;
        }
    }
    return NULL;
}

static bool in_pages(uint64_t at, uint64_t offset, uint64_t size)
{
    uint64_t page = qemu_real_host_page_size();

    return at >= QEMU_ALIGN_DOWN(offset, page) &&
           at < QEMU_ALIGN_UP(offset + size, page);
}

/* Registers that would not trap if table and PBA were not in their page */
static void count_shared(VFIOPCIDevice *vdev, uint8_t bar, uint64_t at)
{
    VFIOMsixState *s = vdev->msix_state;
    const MsixLayout *l = &s->layout;

    if (!l->entries || vfio_msix_relocated(vdev) ||
        !((bar == l->table_bar &&
           in_pages(at, l->table_offset, msix_table_size(l->entries))) ||
          (bar == l->pba_bar &&
           in_pages(at, l->pba_offset, msix_pba_size(l->entries))))) {
        return;
    }
    if (!s->shared_accesses++) {
        s->shared_bar = bar;
        s->shared_offset = at;
    }
}

/*
 * Where in a BAR is @addr of @mr?  Not to be found in a BAR that is being taken
 * away from the guest while the access is on its way.
 */
static bool find_place(VFIOPCIDevice *vdev, const MemoryRegion *mr,
                       uint8_t *bar, uint64_t *addr)
{
    for (; mr->container && mr->container->owner == mr->owner;
         mr = mr->container) {
        *addr += mr->addr;
    }
    for (*bar = 0; *bar < PCI_ROM_SLOT; ++*bar) {
        if (vdev->bars[*bar].mr == mr) {
            return true;
        }
    }
    return false;
}

/* MemoryRegion.accessed of what a BAR consists of */
static void count_trapped(MemoryRegion *mr, hwaddr addr, bool write)
{
    VFIOPCIDevice *vdev = VFIO_PCI_DEVICE(mr->owner);
    VFIOMsixTrap *trap;
    uint8_t bar;

    trap = find_place(vdev, mr, &bar, &addr) ? active_trap(vdev, bar, addr) :
           NULL;
    if (!trap) {
        return;
    }
    if (write) {
        trap->writes++;
    } else {
        trap->reads++;
    }
    /* The device's own registers, not what is emulated */
    if (mr->ram_device || mr == vdev->bars[bar].region.mem) {
        count_shared(vdev, bar, addr);
    }
}

/* Adds to a list of Range, in order and without neighbours */
static void spans_add(GList **spans, uint64_t begin, uint64_t end)
{
    Range *span;

    if (begin < end) {
        span = g_new(Range, 1);
        range_set_bounds(span, begin, end - 1);
        *spans = range_list_insert(*spans, span);
    }
}

typedef struct BarSpans {
    const VFIORegion *region;
    bool small;         /* see traps_of_bar() */
    GList *mapped;      /* whole host pages, as hypervisors map them */
    GList *emulated;    /* host pages with something that is not mapped */
} BarSpans;

/* Looks at what is in @mr, which begins at @at of the BAR, and has it count */
static void watch_parts(BarSpans *spans, MemoryRegion *mr, uint64_t at)
{
    uint64_t page = qemu_real_host_page_size();
    MemoryRegion *part;

    QTAILQ_FOREACH(part, &mr->subregions, subregions_link) {
        uint64_t begin = at + part->addr;
        uint64_t end = begin + memory_region_size(part);

        part->accessed = count_trapped;
        if (part->ram_device) {
            /* A small BAR fills its page when it is aligned */
            spans_add(&spans->mapped, QEMU_ALIGN_UP(begin, page),
                      spans->small ? begin + page :
                      QEMU_ALIGN_DOWN(end, page));
        } else if (part != spans->region->mem && part->enabled) {
            spans_add(&spans->emulated, QEMU_ALIGN_DOWN(begin, page),
                      QEMU_ALIGN_UP(end, page));
        }
        watch_parts(spans, part, begin);
    }
}

static void trap_add(VFIOPCIDevice *vdev, VFIOMsixTrap trap)
{
    g_array_append_val(vdev->msix_state->traps, trap);
}

/*
 * The PBA's pages, as far as they do not trap anyway.  Elsewhere than at its
 * relocated place it is enabled only while a masked vector is pending.
 */
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
        if (!active_trap(vdev, bar, at)) {
            trap_add(vdev, (VFIOMsixTrap) {
                .bar = bar, .offset = at, .pba = true,
                .size = MIN(page, vdev->bars[bar].size - at),
            });
        }
    }
}

static void traps_of_bar(VFIOPCIDevice *vdev, uint8_t bar)
{
    const VFIORegion *region = &vdev->bars[bar].region;
    uint64_t page = qemu_real_host_page_size();
    uint64_t size = vdev->bars[bar].size;
    /* The whole of it can be mapped, see vfio_sub_page_bar_update_mapping() */
    bool small = region->size && region->size < page &&
                 region->nr_mmaps == 1 && region->mmaps[0].mmap &&
                 region->mmaps[0].size == region->size;
    BarSpans spans = { .region = region, .small = small };
    GList *trapped = NULL;

    watch_parts(&spans, vdev->bars[bar].mr, 0);
    range_inverse_array(spans.mapped, &trapped, 0,
                        MAX(size, small ? page : 0) - 1);
    for (GList *l = spans.emulated; l; l = l->next) {
        spans_add(&trapped, range_lob(l->data), range_upb(l->data) + 1);
    }
    if (small && !(trapped && !range_lob(trapped->data))) {
        trap_add(vdev, (VFIOMsixTrap) {
            .bar = bar, .size = region->size, .small_bar = true,
        });
    }
    for (GList *l = trapped; l && range_lob(l->data) < size; l = l->next) {
        uint64_t begin = range_lob(l->data);

        trap_add(vdev, (VFIOMsixTrap) {
            .bar = bar, .offset = begin,
            .size = MIN(range_upb(l->data) + 1, size) - begin,
        });
    }
    trap_pba(vdev, bar);
    g_list_free_full(spans.mapped, g_free);
    g_list_free_full(spans.emulated, g_free);
    g_list_free_full(trapped, g_free);
}

static gint trap_by_place(gconstpointer a, gconstpointer b)
{
    const VFIOMsixTrap *one = a, *two = b;

    return one->bar != two->bar ? one->bar - two->bar :
           one->offset < two->offset ? -1 : one->offset > two->offset;
}

void vfio_msix_traps_init(VFIOPCIDevice *vdev)
{
    VFIOMsixState *s = vdev->msix_state;

    s->traps = g_array_new(false, false, sizeof(VFIOMsixTrap));
    for (int i = 0; i < PCI_ROM_SLOT; i++) {
        if (vdev->bars[i].size) {
            traps_of_bar(vdev, i);
        }
    }
    g_array_sort(s->traps, trap_by_place);
}
