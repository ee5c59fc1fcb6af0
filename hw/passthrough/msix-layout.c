/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a device has its MSI-X structures, and what shares their pages
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "msix-layout.h"

#define KIB (1ULL << 10)

uint64_t msix_table_size(unsigned entries)
{
    return (uint64_t)entries * 16;
}

uint64_t msix_pba_size(unsigned entries)
{
    return msix_round_up(entries, 64) / 8;
}

/* Does @bar hold the upper half of the address of the BAR before it? */
bool msix_bar_is_upper_half(const MsixLayout *l, unsigned bar)
{
    return bar > 0 && l->bar[bar - 1].size && l->bar[bar - 1].mem64 &&
           !l->bar[bar - 1].ioport;
}

bool msix_bar_is_memory(const MsixLayout *l, unsigned bar)
{
    return bar < MSIX_PLAN_BARS && l->bar[bar].size && !l->bar[bar].ioport;
}

/* Returns: the first, that many drivers look for registers in; or -1 */
int msix_first_memory_bar(const MsixLayout *l)
{
    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        if (msix_bar_is_memory(l, i)) {
            return i;
        }
    }
    return -1;
}

/* ------------------------------------------------------------------------- */

static char *structure_fault(const MsixLayout *l, const char *name,
                             unsigned bar, uint32_t offset, uint64_t size)
{
    if (bar >= MSIX_PLAN_BARS) {
        return g_strdup_printf("the %s is in BAR %u, which is reserved (BIR)",
                               name, bar);
    }
    if (!l->bar[bar].size) {
        return g_strdup_printf("the %s is in BAR %u, which %s", name, bar,
                               msix_bar_is_upper_half(l, bar) ?
                               "is the upper half of a 64-bit BAR" :
                               "the device does not have");
    }
    if (l->bar[bar].ioport) {
        return g_strdup_printf("the %s is in BAR %u, which is an I/O port BAR",
                               name, bar);
    }
    if (offset + size > l->bar[bar].size) {
        return g_strdup_printf("the %s at 0x%" PRIx32 " (0x%" PRIx64 " bytes) "
                               "is beyond the end of BAR %u (0x%" PRIx64 ")",
                               name, offset, size, bar, l->bar[bar].size);
    }
    return NULL;
}

char *msix_layout_fault(const MsixLayout *l)
{
    uint64_t table_size = msix_table_size(l->entries);
    uint64_t pba_size = msix_pba_size(l->entries);
    char *fault;

    if (!l->entries) {
        return NULL;
    }
    fault = structure_fault(l, "table", l->table_bar, l->table_offset,
                            table_size);
    if (!fault) {
        fault = structure_fault(l, "PBA", l->pba_bar, l->pba_offset, pba_size);
    }
    if (!fault && l->table_bar == l->pba_bar &&
        l->table_offset < l->pba_offset + pba_size &&
        l->pba_offset < l->table_offset + table_size) {
        fault = g_strdup_printf("the table at 0x%" PRIx32 " (0x%" PRIx64
                                " bytes) and the PBA at 0x%" PRIx32
                                " of BAR %u overlap", l->table_offset,
                                table_size, l->pba_offset, l->table_bar);
    }
    return fault;
}

static bool bar_missing(const MsixLayout *l, unsigned bar)
{
    return bar >= MSIX_PLAN_BARS || !l->bar[bar].size;
}

bool msix_layout_stuck(const MsixLayout *l)
{
    return l->entries && (bar_missing(l, l->table_bar) ||
                          bar_missing(l, l->pba_bar));
}

/* ------------------------------------------------------------------------- */

typedef struct Range {
    uint64_t begin;
    uint64_t end;       /* the first byte behind */
} Range;

static bool ranges_meet(Range a, Range b)
{
    return a.begin < b.end && b.begin < a.end;
}

static Range page_range(Range r, uint64_t granule)
{
    return (Range) { r.begin / granule * granule,
                     msix_round_up(r.end, granule) };
}

static Range table_range(const MsixLayout *l)
{
    return (Range) { l->table_offset,
                     l->table_offset + msix_table_size(l->entries) };
}

static Range pba_range(const MsixLayout *l)
{
    return (Range) { l->pba_offset,
                     l->pba_offset + msix_pba_size(l->entries) };
}

/*
 * PCI 3.0, 6.8.2: no other register is in the naturally aligned 4 KiB ranges
 * that hold MSI-X structures.  Host pages may be larger.
 */
#define SPEC_GRANULE 4096

/* Where 4 KiB of @page in @bar hold neither structure, or -1 */
static int64_t foreign_granule(const MsixLayout *l, unsigned bar, Range page)
{
    for (uint64_t at = page.begin; at < MIN(page.end, l->bar[bar].size);
         at += SPEC_GRANULE) {
        Range granule = { at, at + SPEC_GRANULE };

        if (!(bar == l->table_bar && ranges_meet(granule, table_range(l))) &&
            !(bar == l->pba_bar && ranges_meet(granule, pba_range(l)))) {
            return at;
        }
    }
    return -1;
}

/* What the structures of @bar leave free at its beginning */
static uint64_t first_structure(const MsixLayout *l, unsigned bar)
{
    uint64_t first = UINT64_MAX;

    if (bar == l->table_bar) {
        first = l->table_offset;
    }
    if (bar == l->pba_bar) {
        first = MIN(first, l->pba_offset);
    }
    return first;
}

static uint64_t last_structure_end(const MsixLayout *l, unsigned bar)
{
    uint64_t end = bar == l->table_bar ? table_range(l).end : 0;

    return bar == l->pba_bar ? MAX(end, pba_range(l).end) : end;
}

/*
 * Is there nothing in @bar but table and PBA?  Many devices have such a BAR,
 * larger than it had to be: Intel's network adapters BAR 3, Realtek's BAR 4.
 * It begins with one of them, and the registers are in a BAR before it.
 */
static bool only_msix(const MsixLayout *l, unsigned bar)
{
    return (int)bar != msix_first_memory_bar(l) && !first_structure(l, bar) &&
           l->bar[bar].size <= MAX(64 * KIB,
                                   msix_pow2_ceil(last_structure_end(l, bar)));
}

/*
 * Controller registers, then the doorbells of the admin queues and of as many
 * I/O queues as there are other vectors (NVMe base 2.0, 3.1; stride 0)
 */
static Range nvme_registers(const MsixLayout *l)
{
    return (Range) { 0, 0x1000 + 8 * (uint64_t)MAX(l->entries, 2) };
}

static char *shared_page(const MsixLayout *l, const char *name, unsigned bar,
                         Range structure)
{
    Range page = page_range(structure, l->host_page_size);
    Range start = { 0, first_structure(l, bar) };
    int64_t foreign = foreign_granule(l, bar, page);

    if (only_msix(l, bar)) {
        return NULL;
    }
    if (bar == 0 && l->nvme && ranges_meet(page, nvme_registers(l))) {
        return g_strdup_printf("the %s at 0x%" PRIx64 " of BAR 0 shares a host "
                               "page with NVMe registers", name,
                               structure.begin);
    }
    if (foreign >= 0) {
        return g_strdup_printf("the %s at 0x%" PRIx64 " of BAR %u shares a "
                               "host page with what is at 0x%" PRIx64, name,
                               structure.begin, bar, (uint64_t)foreign);
    }
    /* Against the specification, but seen: no BAR begins with a hole */
    if (!page.begin && start.end) {
        return g_strdup_printf("the %s at 0x%" PRIx64 " of BAR %u shares a "
                               "host page with the BAR's first registers",
                               name, structure.begin, bar);
    }
    return NULL;
}

/* ------------------------------------------------------------------------- */

/* Is there anything in @bar besides table and PBA? */
bool msix_has_registers(const MsixLayout *l, unsigned bar)
{
    Range whole = { 0, l->bar[bar].size };

    if (only_msix(l, bar)) {
        return false;
    }
    return (bar != l->table_bar && bar != l->pba_bar) ||
           (bar == 0 && l->nvme) || first_structure(l, bar) > 0 ||
           foreign_granule(l, bar, whole) >= 0;
}

/*
 * Why relocating cannot free what shares a page with a structure of @bar, NULL
 * if it can.  The host kernel looks at the pages of the table only.
 */
static const char *cannot_map(const MsixLayout *l, unsigned bar,
                              Range structure)
{
    Range table = page_range(table_range(l), l->host_page_size);

    if (!l->bar[bar].mmap) {
        return "but the host does not let that BAR be mapped";
    }
    if (!l->mappable && bar == l->table_bar && ranges_meet(structure, table)) {
        return "but the host kernel does not let the table's pages be mapped "
               "(Linux 4.16 does)";
    }
    return NULL;
}

/* Nothing is known to share a page; but devices differ from specifications */
static MsixNeed unknown_need(const MsixLayout *l, const char *why_not,
                             char **reason)
{
    if (!l->seen_sharing) {
        *reason = g_strdup("no other registers are known in the host pages "
                           "of table and PBA");
        return MSIX_NEED_NOT_NEEDED;
    }
    *reason = g_strdup_printf("the guest accesses other registers in the host "
                              "pages of table and PBA%s%s",
                              why_not ? ", " : "", why_not ? why_not : "");
    return why_not ? MSIX_NEED_NO_HELP : MSIX_NEED_HELPS;
}

/* Registers that share a page: what does relocating bring? */
static MsixNeed shared_need(const MsixLayout *l, char **reason)
{
    g_autofree char *table = shared_page(l, "table", l->table_bar,
                                         table_range(l));
    g_autofree char *pba = shared_page(l, "PBA", l->pba_bar, pba_range(l));
    const char *why_table = cannot_map(l, l->table_bar, table_range(l));
    const char *why_pba = cannot_map(l, l->pba_bar, pba_range(l));

    if (table && !why_table) {
        *reason = g_steal_pointer(&table);
        return MSIX_NEED_HELPS;
    }
    if (pba && !why_pba) {
        *reason = g_strdup_printf("%s, which traps while a masked vector is "
                                  "pending", pba);
        return MSIX_NEED_HELPS;
    }
    if (table || pba) {
        *reason = g_strdup_printf("%s, %s", table ? table : pba,
                                  table ? why_table : why_pba);
        return MSIX_NEED_NO_HELP;
    }
    return unknown_need(l, why_table, reason);
}

MsixNeed msix_find_need(const MsixLayout *l, char **reason)
{
    if (!l->entries) {
        *reason = g_strdup("the device has no MSI-X");
        return MSIX_NEED_NONE;
    }
    *reason = msix_layout_fault(l);
    return *reason ? MSIX_NEED_REQUIRED : shared_need(l, reason);
}
