/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the MSI-X table of a passthrough device should be for its guest
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "msix-layout.h"

#define GIB (1ULL << 30)

/* The capability has 32 bits for an offset (PCI 3.0, 6.8.2.4) */
#define OFFSET_LIMIT (1ULL << 32)

/* What table and PBA take in a BAR of their own: whole host pages */
static uint64_t msix_space(const MsixLayout *l)
{
    uint64_t size = msix_table_size(l->entries) + msix_pba_size(l->entries);

    return msix_pow2_ceil(msix_round_up(size, l->host_page_size));
}

static bool bar_is_free(const MsixLayout *l, unsigned bar)
{
    return bar < MSIX_PLAN_BARS && !l->bar[bar].size &&
           !msix_bar_is_upper_half(l, bar);
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
    } else if (msix_bar_is_upper_half(l, bar)) {
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

/*
 * A BAR that is smaller than a host page is mapped only where its address in
 * the guest happens to begin a host page.  Extended, it is always aligned, and
 * its registers have their page for themselves.  NVMe drivers do not mind.
 */
static int small_register_bar(const MsixLayout *l)
{
    unsigned candidates[] = { 0, l->table_bar, l->pba_bar };

    for (size_t i = 0; l->nvme && i < G_N_ELEMENTS(candidates); i++) {
        unsigned bar = candidates[i];

        if (msix_bar_is_memory(l, bar) &&
            l->bar[bar].size < l->host_page_size &&
            l->bar[bar].mmap && msix_has_registers(l, bar) &&
            msix_bar_usable(l, bar, NULL)) {
            return bar;
        }
    }
    return -1;
}

/*
 * Drivers that take the first memory BAR for their registers, such as r8169
 * and megaraid_sas, must not find another one before it.
 */
static int free_bar(const MsixLayout *l, bool pair)
{
    for (unsigned i = msix_first_memory_bar(l) + 1; i < MSIX_PLAN_BARS; i++) {
        if (bar_is_free(l, i) && (!pair || bar_is_free(l, i + 1))) {
            return i;
        }
    }
    return -1;
}

static int smallest_bar(const MsixLayout *l, bool with_registers)
{
    int best = -1;

    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        if (msix_bar_is_memory(l, i) && l->bar[i].size <= GIB &&
            msix_bar_usable(l, i, NULL) &&
            (with_registers || !msix_has_registers(l, i)) &&
            (best < 0 || l->bar[i].size < l->bar[best].size)) {
            best = i;
        }
    }
    return best;
}

/*
 * A larger BAR can mislead a driver: amdgpu chooses by the size of its BAR 5
 * how it accesses registers.  To make a device faster, that is no good trade.
 */
static bool may_extend(const MsixLayout *l, MsixNeed need)
{
    return l->nvme || need == MSIX_NEED_REQUIRED;
}

static int choose_bar(const MsixLayout *l, MsixNeed need)
{
    int bar = small_register_bar(l);

    if (bar < 0) {
        bar = free_bar(l, true);
    }
    if (bar < 0) {
        bar = free_bar(l, false);
    }
    if (bar < 0) {
        bar = smallest_bar(l, false);
    }
    return bar < 0 && may_extend(l, need) ? smallest_bar(l, true) : bar;
}

static bool has_prefetch64(const MsixLayout *l)
{
    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        if (msix_bar_is_memory(l, i) && l->bar[i].mem64 && l->bar[i].prefetch) {
            return true;
        }
    }
    return false;
}

static void plan_relocation(const MsixLayout *l, unsigned bar, MsixPlan *plan)
{
    plan->relocate = true;
    plan->bar = bar;
    plan->new_bar = !l->bar[bar].size;
    if (plan->new_bar) {
        plan->mem64 = bar_is_free(l, bar + 1);
        /*
         * Reads have no side effects, and a prefetchable BAR is easier to
         * find room for.  But one of 32 bits makes firmware look for all
         * prefetchable ones below the bridge in the first 4 GiB.
         */
        plan->prefetch = plan->mem64 || !has_prefetch64(l);
        plan->bar_size = msix_space(l);
        plan->table_offset = 0;
    } else {
        plan->mem64 = l->bar[bar].mem64;
        plan->prefetch = l->bar[bar].prefetch;
        plan->bar_size = extended_size(l, bar);
        plan->table_offset = plan->bar_size / 2;
    }
    plan->pba_offset = plan->table_offset + msix_table_size(l->entries);
}

static void plan_off(const MsixPlan *plan, char **reason)
{
    g_autofree char *need = g_steal_pointer(reason);

    *reason = plan->need == MSIX_NEED_NONE ? g_steal_pointer(&need) :
              g_strdup_printf("relocation is off; %s", need);
}

/* Relocating would help, and auto finds no place that is sure to do no harm */
static void plan_no_place(const MsixLayout *l, char **reason)
{
    g_autofree char *place = g_steal_pointer(reason);
    g_autofree char *usable = msix_usable_bars(l);

    *reason = strcmp(usable, "none") ?
              g_strdup_printf("%s, but no BAR behind the first is free: a "
                              "driver may not expect what can be asked for "
                              "(%s)", place, usable) :
              g_strdup_printf("%s, but no BAR can take table and PBA", place);
}

static bool plan_auto(const MsixLayout *l, MsixPlan *plan, char **reason,
                      char **error)
{
    int bar;

    if (plan->need != MSIX_NEED_REQUIRED && plan->need != MSIX_NEED_HELPS) {
        return true;
    }
    bar = choose_bar(l, plan->need);
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
    plan_no_place(l, reason);
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
    plan->need = msix_find_need(l, reason);
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
