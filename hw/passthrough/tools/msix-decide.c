/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The planner, for scripts/msix-check
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * A device is a line of DEVICE_NUMBERS decimal numbers on standard input: first
 * those of decide(), then size, ioport, mem64, prefetch and mmap of each BAR.
 * A decision is a JSON object, a line on standard output.
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "../msix-plan.h"

#define BAR_NUMBERS     5
#define LAYOUT_NUMBERS  10
#define DEVICE_NUMBERS  (LAYOUT_NUMBERS + MSIX_PLAN_BARS * BAR_NUMBERS)

static const char *const need_names[] = {
    [MSIX_NEED_NONE] = "none",
    [MSIX_NEED_REQUIRED] = "required",
    [MSIX_NEED_HELPS] = "helps",
    [MSIX_NEED_NO_HELP] = "no-help",
    [MSIX_NEED_NOT_NEEDED] = "not-needed",
};

static bool read_device(uint64_t *n)
{
    for (unsigned i = 0; i < DEVICE_NUMBERS; i++) {
        if (scanf("%" SCNu64, &n[i]) != 1) {
            return false;
        }
    }
    return true;
}

static void print_flag(const char *name, bool value)
{
    printf(", \"%s\": %s", name, value ? "true" : "false");
}

static void print_number(const char *name, uint64_t value)
{
    printf(", \"%s\": %" PRIu64, name, value);
}

/* The planner's words are ASCII, for which C's escapes do */
static void print_text(const char *name, const char *text)
{
    g_autofree char *escaped = text ? g_strescape(text, NULL) : NULL;

    printf(escaped ? ", \"%s\": \"%s\"" : ", \"%s\": null", name, escaped);
}

static void print_usable(const MsixLayout *l)
{
    const char *comma = "";

    printf(", \"usable\": [");
    for (unsigned i = 0; l->entries && i < MSIX_PLAN_BARS; i++) {
        if (msix_bar_usable(l, i, NULL)) {
            printf("%s\"bar%u\"", comma, i);
            comma = ", ";
        }
    }
    printf("]");
}

static void print_decision(const MsixLayout *l, const MsixPlan *plan,
                           const char *reason, const char *error)
{
    printf("{\"need\": \"%s\"", need_names[plan->need]);
    print_flag("relocate", plan->relocate);
    print_number("bar", plan->bar);
    print_flag("new-bar", plan->new_bar);
    print_flag("mem64", plan->mem64);
    print_flag("prefetch", plan->prefetch);
    print_number("bar-size", plan->bar_size);
    print_number("table", plan->table_offset);
    print_number("pba", plan->pba_offset);
    print_number("table-size", msix_table_size(l->entries));
    print_number("pba-size", msix_pba_size(l->entries));
    print_usable(l);
    print_text("reason", reason);
    print_text("error", error);
    printf("}\n");
}

static void decide(const uint64_t *n)
{
    MsixLayout l = {
        .host_page_size = n[1], .mappable = n[2], .nvme = n[3],
        .seen_sharing = n[4], .entries = n[5], .table_bar = n[6],
        .table_offset = n[7], .pba_bar = n[8], .pba_offset = n[9],
    };
    g_autofree char *reason = NULL, *error = NULL;
    MsixPlan plan;

    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        const uint64_t *bar = &n[LAYOUT_NUMBERS + i * BAR_NUMBERS];

        l.bar[i] = (MsixBar) { bar[0], bar[1], bar[2], bar[3], bar[4] };
    }
    msix_plan_make(&l, (MsixRequest)n[0], &plan, &reason, &error);
    print_decision(&l, &plan, reason, error);
}

int main(void)
{
    uint64_t numbers[DEVICE_NUMBERS];

    while (read_device(numbers)) {
        decide(numbers);
    }
    return feof(stdin) ? EXIT_SUCCESS : EXIT_FAILURE;
}
