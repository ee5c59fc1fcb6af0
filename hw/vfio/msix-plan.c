/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the MSI-X table of a passthrough device should be for its guest
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifdef NATIVE_UNIT_TEST
#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#else
#include "qemu/osdep.h"
#endif
#include "msix-plan.h"

#define GIB (1ULL << 30)

/* The capability has 32 bits for an offset (PCI 3.0, 6.8.2.4) */
#define OFFSET_LIMIT (1ULL << 32)

static uint64_t round_up(uint64_t n, uint64_t step)
{
    return (n + step - 1) / step * step;
}

static uint64_t pow2_ceil(uint64_t n)
{
    uint64_t p = 1;

    while (p < n) {
        p <<= 1;
    }
    return p;
}

uint64_t msix_table_size(unsigned entries)
{
    return (uint64_t)entries * 16;
}

uint64_t msix_pba_size(unsigned entries)
{
    return round_up(entries, 64) / 8;
}

/* What table and PBA take in a BAR of their own: whole host pages */
static uint64_t msix_space(const MsixLayout *l)
{
    uint64_t size = msix_table_size(l->entries) + msix_pba_size(l->entries);

    return pow2_ceil(round_up(size, l->host_page_size));
}

/* Does @bar hold the upper half of the address of the BAR before it? */
static bool bar_is_upper_half(const MsixLayout *l, unsigned bar)
{
    return bar > 0 && l->bar[bar - 1].size && l->bar[bar - 1].mem64 &&
           !l->bar[bar - 1].ioport;
}

static bool bar_is_free(const MsixLayout *l, unsigned bar)
{
    return bar < MSIX_PLAN_BARS && !l->bar[bar].size &&
           !bar_is_upper_half(l, bar);
}

static bool bar_is_memory(const MsixLayout *l, unsigned bar)
{
    return bar < MSIX_PLAN_BARS && l->bar[bar].size && !l->bar[bar].ioport;
}

static uint64_t extended_size(const MsixLayout *l, unsigned bar)
{
    return MAX(l->bar[bar].size, msix_space(l)) * 2;
}

bool msix_bar_usable(const MsixLayout *l, unsigned bar, char **why)
{
    const char *reason = NULL;

    if (bar >= MSIX_PLAN_BARS) {
        reason = "it does not exist";
    } else if (bar_is_upper_half(l, bar)) {
        reason = "it is the upper half of a 64-bit BAR";
    } else if (l->bar[bar].ioport && l->bar[bar].size) {
        reason = "it is an I/O port BAR";
    } else if (l->bar[bar].size > GIB && !l->bar[bar].mem64) {
        reason = "a 32-bit BAR of more than 1 GiB cannot be extended";
    } else if (l->bar[bar].size >= OFFSET_LIMIT) {
        reason = "in a BAR of 4 GiB or more the table's offset would not fit "
                 "in 32 bits";
    }
    if (reason && why) {
        *why = g_strdup(reason);
    }
    return !reason;
}

char *msix_usable_bars(const MsixLayout *l)
{
    GString *s = g_string_new(NULL);

    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        if (msix_bar_usable(l, i, NULL)) {
            g_string_append_printf(s, "%sbar%u", s->len ? ", " : "", i);
        }
    }
    if (!s->len) {
        g_string_append(s, "none");
    }
    return g_string_free(s, false);
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
                               bar_is_upper_half(l, bar) ?
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

static bool overlap(Range a, Range b)
{
    return a.begin < b.end && b.begin < a.end;
}

static Range widen(Range r, uint64_t granule)
{
    return (Range) { r.begin / granule * granule, round_up(r.end, granule) };
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

        if (!(bar == l->table_bar && overlap(granule, table_range(l))) &&
            !(bar == l->pba_bar && overlap(granule, pba_range(l)))) {
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
    Range page = widen(structure, l->host_page_size);
    Range start = { 0, first_structure(l, bar) };
    int64_t foreign = foreign_granule(l, bar, page);

    if (bar == 0 && l->nvme && overlap(page, nvme_registers(l))) {
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
static bool has_registers(const MsixLayout *l, unsigned bar)
{
    Range whole = { 0, l->bar[bar].size };

    return (bar != l->table_bar && bar != l->pba_bar) ||
           (bar == 0 && l->nvme) || first_structure(l, bar) > 0 ||
           foreign_granule(l, bar, whole) >= 0;
}

/*
 * A BAR that is smaller than a host page is mapped only where its address in
 * the guest happens to begin a host page.  Extended, it is always aligned, and
 * its registers have their page for themselves.
 */
static int small_register_bar(const MsixLayout *l)
{
    unsigned candidates[] = { 0, l->table_bar, l->pba_bar };

    for (size_t i = 0; i < G_N_ELEMENTS(candidates); i++) {
        unsigned bar = candidates[i];

        if (bar_is_memory(l, bar) && l->bar[bar].size < l->host_page_size &&
            l->bar[bar].mmap && has_registers(l, bar) &&
            msix_bar_usable(l, bar, NULL)) {
            return bar;
        }
    }
    return -1;
}

static int free_bar(const MsixLayout *l, bool pair)
{
    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        if (bar_is_free(l, i) && (!pair || bar_is_free(l, i + 1))) {
            return i;
        }
    }
    return -1;
}

static int smallest_bar(const MsixLayout *l)
{
    int best = -1;

    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        if (bar_is_memory(l, i) && l->bar[i].size <= GIB &&
            msix_bar_usable(l, i, NULL) &&
            (best < 0 || l->bar[i].size < l->bar[best].size)) {
            best = i;
        }
    }
    return best;
}

static int choose_bar(const MsixLayout *l)
{
    int bar = small_register_bar(l);

    if (bar < 0) {
        bar = free_bar(l, true);
    }
    if (bar < 0) {
        bar = free_bar(l, false);
    }
    return bar < 0 ? smallest_bar(l) : bar;
}

static void plan_relocation(const MsixLayout *l, unsigned bar, MsixPlan *plan)
{
    plan->relocate = true;
    plan->bar = bar;
    plan->new_bar = !l->bar[bar].size;
    if (plan->new_bar) {
        plan->mem64 = bar_is_free(l, bar + 1);
        plan->bar_size = msix_space(l);
        plan->table_offset = 0;
    } else {
        plan->mem64 = l->bar[bar].mem64;
        plan->bar_size = extended_size(l, bar);
        plan->table_offset = plan->bar_size / 2;
    }
    plan->pba_offset = plan->table_offset + msix_table_size(l->entries);
}

/*
 * Why relocating cannot free what shares a page with a structure of @bar, NULL
 * if it can.  The host kernel looks at the pages of the table only.
 */
static const char *cannot_map(const MsixLayout *l, unsigned bar,
                              Range structure)
{
    Range table = widen(table_range(l), l->host_page_size);

    if (!l->bar[bar].mmap) {
        return "but the host does not let that BAR be mapped";
    }
    if (!l->mappable && bar == l->table_bar && overlap(structure, table)) {
        return "but the host kernel does not let the table's pages be mapped "
               "(Linux 4.16 does)";
    }
    return NULL;
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
    } else {
        *reason = g_strdup("neither table nor PBA shares a host page with "
                           "other registers");
    }
    return MSIX_NEED_NO_HELP;
}

static MsixNeed find_need(const MsixLayout *l, char **reason)
{
    if (!l->entries) {
        *reason = g_strdup("the device has no MSI-X");
        return MSIX_NEED_NONE;
    }
    *reason = msix_layout_fault(l);
    return *reason ? MSIX_NEED_REQUIRED : shared_need(l, reason);
}

static void plan_off(const MsixPlan *plan, char **reason)
{
    g_autofree char *need = g_steal_pointer(reason);

    *reason = plan->need == MSIX_NEED_NONE ? g_steal_pointer(&need) :
              g_strdup_printf("relocation is off; %s", need);
}

static bool plan_auto(const MsixLayout *l, MsixPlan *plan, char **reason,
                      char **error)
{
    int bar;

    if (plan->need != MSIX_NEED_REQUIRED && plan->need != MSIX_NEED_HELPS) {
        return true;
    }
    bar = choose_bar(l);
    if (bar >= 0) {
        plan_relocation(l, bar, plan);
        return true;
    }
    if (plan->need == MSIX_NEED_REQUIRED) {
        g_autofree char *usable = msix_usable_bars(l);

        *error = strcmp(usable, "none") ?
                 g_strdup_printf("%s, and auto extends no BAR above 1 GiB; "
                                 "usable: %s", *reason, usable) :
                 g_strdup_printf("%s, and no BAR can take table and PBA "
                                 "(usable: none)", *reason);
        g_clear_pointer(reason, g_free);
        return false;
    }
    g_autofree char *place = g_steal_pointer(reason);
    *reason = g_strdup_printf("%s, but no BAR can take table and PBA", place);
    return true;
}

static bool plan_explicit(const MsixLayout *l, unsigned bar, MsixPlan *plan,
                          char **reason, char **error)
{
    g_autofree char *usable = msix_usable_bars(l);
    g_autofree char *why = NULL;
    g_autofree char *need = NULL;

    if (!l->entries) {
        *error = g_strdup("the device has no MSI-X to relocate");
    } else if (!msix_bar_usable(l, bar, &why)) {
        *error = g_strdup_printf("%s; usable: %s", why, usable);
    }
    if (*error) {
        g_clear_pointer(reason, g_free);
        return false;
    }
    plan_relocation(l, bar, plan);
    need = g_steal_pointer(reason);
    *reason = g_strdup_printf("bar%u was asked for; %s", bar, need);
    return true;
}

bool msix_plan_make(const MsixLayout *l, MsixRequest request, MsixPlan *plan,
                    char **reason, char **error)
{
    *plan = (MsixPlan) {};
    *error = NULL;
    plan->need = find_need(l, reason);
    switch (request) {
    case MSIX_REQUEST_OFF:
        plan_off(plan, reason);
        return true;
    case MSIX_REQUEST_AUTO:
        return plan_auto(l, plan, reason, error);
    default:
        return plan_explicit(l, request - MSIX_REQUEST_BAR0, plan, reason,
                             error);
    }
}
