/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The planner of MSI-X relocation, on layouts of real and of broken devices
 */
#include <glib.h>
#include <string.h>
#include "msix-layouts.h"

static MsixLayout layout_of(const LayoutCase *c)
{
    MsixLayout l = {
        .entries = c->entries,
        .table_bar = c->table_bar, .table_offset = c->table,
        .pba_bar = c->pba_bar, .pba_offset = c->pba,
        .host_page_size = c->page ? c->page : 4096,
        .mappable = !c->unmappable, .nvme = c->nvme,
        .seen_sharing = c->seen,
    };

    memcpy(l.bar, c->bar, sizeof(l.bar));
    return l;
}

static uint64_t pow2(uint64_t n)
{
    return n && !(n & (n - 1));
}

static bool has_prefetch64(const MsixLayout *l)
{
    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        if (l->bar[i].size && l->bar[i].mem64 && l->bar[i].prefetch) {
            return true;
        }
    }
    return false;
}

/* What must hold for any relocation */
static void check_plan(const MsixLayout *l, const MsixPlan *plan)
{
    const MsixBar *old = &l->bar[plan->bar];
    uint64_t page = l->host_page_size;
    uint64_t end = plan->pba_offset + msix_pba_size(l->entries);

    g_assert_cmpuint(plan->bar, <, MSIX_PLAN_BARS);
    g_assert_false(old->ioport && old->size);
    g_assert_true(pow2(plan->bar_size));
    g_assert_cmpuint(plan->table_offset % page, ==, 0);
    g_assert_cmpuint(plan->pba_offset % 8, ==, 0);
    g_assert_cmpuint(plan->pba_offset, >=,
                     plan->table_offset + msix_table_size(l->entries));
    g_assert_cmpuint(end, <=, plan->bar_size);
    g_assert_cmpuint(end, <=, 1ull << 32);
    g_assert_cmpuint(plan->table_offset, >=, old->size);
    g_assert_true(plan->new_bar == !old->size);
    if (!plan->mem64) {
        g_assert_cmpuint(plan->bar_size, <=, 2 * GIB);
    } else if (plan->new_bar) {
        g_assert_cmpuint(plan->bar, <, MSIX_PLAN_BARS - 1);
        g_assert_cmpuint(l->bar[plan->bar + 1].size, ==, 0);
    }
    g_assert_true(plan->new_bar || plan->prefetch == old->prefetch);
    g_assert_false(plan->new_bar && plan->mem64 && !plan->prefetch);
    /* Firmware must not have to look for a large BAR in the first 4 GiB */
    g_assert_false(plan->new_bar && !plan->mem64 && plan->prefetch &&
                   has_prefetch64(l));
    if (plan->bar > 0) {
        g_assert_false(l->bar[plan->bar - 1].size &&
                       l->bar[plan->bar - 1].mem64);
    }
}

static bool is_free(const MsixLayout *l, unsigned bar)
{
    return bar < MSIX_PLAN_BARS && !l->bar[bar].size &&
           !(bar && l->bar[bar - 1].size && l->bar[bar - 1].mem64);
}

static unsigned first_memory(const MsixLayout *l)
{
    unsigned bar = 0;

    while (bar < MSIX_PLAN_BARS && (!l->bar[bar].size || l->bar[bar].ioport)) {
        bar++;
    }
    return bar;
}

/*
 * A free pair is taken unless a small BAR of an NVMe drive calls for being
 * extended; and nothing is put before the BAR that drivers take for the first
 */
static void check_order(const MsixLayout *l, const MsixPlan *plan)
{
    unsigned first = first_memory(l);
    bool small = false;

    g_assert_true(!plan->new_bar || first == MSIX_PLAN_BARS ||
                  plan->bar > first);
    g_assert_true(plan->new_bar || l->nvme ||
                  plan->need == MSIX_NEED_REQUIRED ||
                  plan->bar == l->table_bar || plan->bar == l->pba_bar);
    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        small |= l->nvme && l->bar[i].size && l->bar[i].mmap &&
                 l->bar[i].size < l->host_page_size;
    }
    for (unsigned i = first; i < MSIX_PLAN_BARS && !small; i++) {
        if (is_free(l, i) && is_free(l, i + 1)) {
            g_assert_cmpuint(plan->bar, ==, i);
            g_assert_true(plan->mem64);
            return;
        }
    }
}

/* The sizes and offsets that stock QEMU computes for a BAR that it accepts */
static void check_as_stock(const MsixLayout *l, const MsixPlan *plan)
{
    uint64_t space = l->entries * 16 + (l->entries + 63) / 64 * 8;
    uint64_t size = l->host_page_size;

    while (size < space) {
        size *= 2;
    }
    if (l->bar[plan->bar].size) {
        size = MAX(size, l->bar[plan->bar].size) * 2;
        g_assert_cmpuint(plan->table_offset, ==, size / 2);
    } else {
        g_assert_cmpuint(plan->table_offset, ==, 0);
    }
    g_assert_cmpuint(plan->bar_size, ==, size);
    g_assert_cmpuint(plan->pba_offset, ==,
                     plan->table_offset + l->entries * 16);
}

static void test_auto(gconstpointer opaque)
{
    const LayoutCase *c = opaque;
    MsixLayout l = layout_of(c);
    g_autofree char *reason = NULL;
    g_autofree char *error = NULL;
    MsixPlan plan;
    bool ok = msix_plan_make(&l, MSIX_REQUEST_AUTO, &plan, &reason, &error);
    const char *text = ok ? reason : error;

    g_test_message("%s", text);
    if (c->words && !strstr(text, c->words)) {
        g_test_message("expected: %s", c->words);
    }
    g_assert_cmpint(plan.need, ==, c->need);
    g_assert_true(ok == (c->bar_auto != REFUSE));
    g_assert_true(ok == !error);
    g_assert_true(ok == !!reason);
    g_assert_true(plan.relocate == (c->bar_auto >= 0));
    if (plan.relocate) {
        g_assert_cmpint(plan.bar, ==, c->bar_auto);
        g_assert_cmpuint(l.bar[plan.bar].size, <=, GIB);
        check_plan(&l, &plan);
    }
    if (c->words) {
        g_assert_nonnull(strstr(text, c->words));
    }
}

static void test_off(gconstpointer opaque)
{
    const LayoutCase *c = opaque;
    MsixLayout l = layout_of(c);
    g_autofree char *reason = NULL;
    g_autofree char *error = NULL;
    MsixPlan plan;

    g_assert_true(msix_plan_make(&l, MSIX_REQUEST_OFF, &plan, &reason, &error));
    g_assert_cmpint(plan.need, ==, c->need);
    g_assert_false(plan.relocate);
    g_assert_nonnull(reason);
}

static void test_explicit(gconstpointer opaque)
{
    const LayoutCase *c = opaque;
    MsixLayout l = layout_of(c);
    g_autofree char *usable = msix_usable_bars(&l);

    g_assert_cmpstr(usable, ==, c->usable);
    for (unsigned bar = 0; bar < MSIX_PLAN_BARS; bar++) {
        g_autofree char *name = g_strdup_printf("bar%u", bar);
        g_autofree char *reason = NULL;
        g_autofree char *error = NULL;
        MsixPlan plan;
        bool ok = msix_plan_make(&l, MSIX_REQUEST_BAR0 + bar, &plan, &reason,
                                 &error);

        g_assert_true(ok == (c->entries && strstr(usable, name)));
        g_assert_true(plan.relocate == ok);
        if (ok) {
            g_assert_cmpuint(plan.bar, ==, bar);
            g_assert_nonnull(strstr(reason, name));
            check_plan(&l, &plan);
            check_as_stock(&l, &plan);
        } else if (c->entries) {
            g_assert_nonnull(strstr(error, usable));
        } else {
            g_assert_nonnull(strstr(error, "no MSI-X"));
        }
    }
}

/* After relocating, the relocated layout has no need of it any more */
static void test_settled(gconstpointer opaque)
{
    const LayoutCase *c = opaque;
    MsixLayout l = layout_of(c);
    g_autofree char *reason = NULL;
    g_autofree char *error = NULL;
    g_autofree char *fault = NULL;
    MsixPlan plan;

    if (!msix_plan_make(&l, MSIX_REQUEST_AUTO, &plan, &reason, &error) ||
        !plan.relocate) {
        return;
    }
    l.table_bar = l.pba_bar = plan.bar;
    l.table_offset = plan.table_offset;
    l.pba_offset = plan.pba_offset;
    l.bar[plan.bar].size = plan.bar_size;
    l.bar[plan.bar].mem64 = plan.mem64;
    fault = msix_layout_fault(&l);
    g_assert_null(fault);
    for (int i = 0; i < MSIX_PLAN_BARS; i++) {
        if (l.bar[i].size && i == 0 && c->nvme) {
            g_assert_cmpuint(l.bar[i].size, >=, l.host_page_size);
        }
    }
}

/* The same answer for the same question, whatever was asked before */
static void test_deterministic(void)
{
    for (size_t i = 0; i < layout_case_count; i++) {
        MsixLayout l = layout_of(&layout_cases[i]);
        g_autofree char *first_reason = NULL;
        g_autofree char *first_error = NULL;
        MsixPlan first;

        msix_plan_make(&l, MSIX_REQUEST_AUTO, &first, &first_reason,
                       &first_error);
        for (int request = MSIX_REQUEST_BAR5; request >= MSIX_REQUEST_AUTO;
             request--) {
            g_autofree char *reason = NULL;
            g_autofree char *error = NULL;
            MsixPlan plan;

            msix_plan_make(&l, request, &plan, &reason, &error);
            if (request == MSIX_REQUEST_AUTO) {
                g_assert_cmpmem(&plan, sizeof(plan), &first, sizeof(first));
                g_assert_cmpstr(reason, ==, first_reason);
                g_assert_cmpstr(error, ==, first_error);
            }
        }
    }
}

/* Random layouts: no crash, and what is planned always fits */
static void test_random(void)
{
    GRand *rand = g_rand_new_with_seed(0x6d736978);

    for (int i = 0; i < 200000; i++) {
        MsixLayout l = {
            .entries = g_rand_int_range(rand, 0, MSIX_PLAN_MAX_ENTRIES + 1),
            .table_bar = g_rand_int_range(rand, 0, 8),
            .pba_bar = g_rand_int_range(rand, 0, 8),
            .table_offset = (g_rand_int(rand) >> g_rand_int_range(rand, 0, 32))
                            & ~7u,
            .pba_offset = (g_rand_int(rand) >> g_rand_int_range(rand, 0, 32))
                          & ~7u,
            .host_page_size = 4096u << g_rand_int_range(rand, 0, 5),
            .mappable = g_rand_boolean(rand), .nvme = g_rand_boolean(rand),
        };
        int request = g_rand_int_range(rand, 0, MSIX_REQUEST_BAR5 + 1);
        g_autofree char *reason = NULL;
        g_autofree char *error = NULL;
        MsixPlan plan;

        for (int b = 0; b < MSIX_PLAN_BARS; b++) {
            MsixBar *bar = &l.bar[b];

            if (b && l.bar[b - 1].size && l.bar[b - 1].mem64) {
                continue;
            }
            bar->ioport = !g_rand_int_range(rand, 0, 5);
            bar->mem64 = !bar->ioport && b < 5 && g_rand_boolean(rand);
            bar->size = !g_rand_int_range(rand, 0, 3) ? 0 :
                        bar->ioport ? 1u << g_rand_int_range(rand, 2, 9) :
                        1ull << g_rand_int_range(rand, 4, bar->mem64 ? 42 : 32);
            bar->mmap = !bar->ioport && g_rand_boolean(rand);
            bar->prefetch = bar->mem64 && g_rand_boolean(rand);
            if (!bar->size) {
                *bar = (MsixBar) {};
            }
        }
        if (msix_plan_make(&l, request, &plan, &reason, &error) &&
            plan.relocate) {
            check_plan(&l, &plan);
            if (request == MSIX_REQUEST_AUTO) {
                check_order(&l, &plan);
            }
        }
        g_assert_true(!reason != !error);
    }
    g_rand_free(rand);
}

static void add(const char *kind, const LayoutCase *c, GTestDataFunc fn)
{
    g_autofree char *path = g_strdup_printf("/msix-plan/%s/%s", kind, c->name);

    g_test_add_data_func(path, c, fn);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < layout_case_count; i++) {
        add("auto", &layout_cases[i], test_auto);
        add("off", &layout_cases[i], test_off);
        add("explicit", &layout_cases[i], test_explicit);
        add("settled", &layout_cases[i], test_settled);
    }
    g_test_add_func("/msix-plan/deterministic", test_deterministic);
    g_test_add_func("/msix-plan/random", test_random);
    return g_test_run();
}
