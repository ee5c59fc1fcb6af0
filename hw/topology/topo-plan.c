/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which caches a machine has: levels, sizes, and what cannot be
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "topo-plan.h"

/* Limits of the formats: PPTT has 8 bits for ways, 32 for a size */
#define MIN_LINE    16
#define MAX_LINE    2048
#define MAX_WAYS    255
#define MAX_SIZE    UINT32_MAX

/* Names of the levels from @low to @high that the shape has */
static char *allowed_levels(const TopoShape *shape, TopoLevel low,
                            TopoLevel high)
{
    GString *text = g_string_new(NULL);

    for (int level = low; level <= (int)high; level++) {
        if (topo_has_level(shape, level)) {
            g_string_append_printf(text, "%s%s", text->len ? ", " : "",
                                   topo_level_name(level));
        }
    }
    return g_string_free(text, FALSE);
}

static bool check_levels_exist(const TopoShape *shape,
                               const TopoRequest *request, char **why)
{
    for (int kind = 0; kind < TOPO_KINDS; kind++) {
        TopoLevel level = request[kind].level;
        g_autofree char *allowed = NULL;

        if (!request[kind].given || level == TOPO_DEFAULT ||
            topo_has_level(shape, level)) {
            continue;
        }
        allowed = allowed_levels(shape, TOPO_THREAD, TOPO_SOCKET);
        *why = g_strdup_printf("smp-cache: %s: topology=%s: -smp has no "
                               "%ss; allowed: %s, or give %ss=N to -smp",
                               topo_kind_name(kind), topo_level_name(level),
                               topo_level_name(level), allowed,
                               topo_level_name(level));
        return false;
    }
    return true;
}

static bool level_named(const TopoRequest *request)
{
    return request->given && request->level != TOPO_DEFAULT;
}

/*
 * Firmware tables tell the level of a cache by its place on the way up from a
 * CPU, so that both halves of L1 have to be in one place.
 */
static bool l1_level(const TopoRequest *request, TopoLevel *level, char **why)
{
    const TopoRequest *d = &request[TOPO_L1D], *i = &request[TOPO_L1I];

    *level = TOPO_DEFAULT;
    if (level_named(d) && level_named(i) && d->level != i->level) {
        *why = g_strdup_printf("smp-cache: l1i: topology=%s differs from "
                               "l1d's; allowed: %s",
                               topo_level_name(i->level),
                               topo_level_name(d->level));
        return false;
    }
    if (level_named(d)) {
        *level = d->level;
    } else if (level_named(i)) {
        *level = i->level;
    }
    return true;
}

static bool check_order(const TopoShape *shape, TopoKind inner_kind,
                        TopoLevel inner, TopoKind kind, TopoLevel outer,
                        char **why)
{
    g_autofree char *allowed = NULL;

    if (inner == TOPO_DEFAULT || outer == TOPO_DEFAULT || inner <= outer) {
        return true;
    }
    allowed = allowed_levels(shape, inner, TOPO_SOCKET);
    *why = g_strdup_printf("smp-cache: %s: topology=%s is narrower than %s's "
                           "%s; allowed: %s",
                           topo_kind_name(kind), topo_level_name(outer),
                           topo_kind_name(inner_kind), topo_level_name(inner),
                           allowed);
    return false;
}

/* @level where it is named, else @preferred as far as the others allow */
static TopoLevel choose_level(TopoLevel level, TopoLevel preferred,
                              TopoLevel low, TopoLevel high)
{
    if (level != TOPO_DEFAULT) {
        return level;
    }
    if (low != TOPO_DEFAULT && preferred < low) {
        preferred = low;
    }
    return preferred > high ? high : preferred;
}

/*
 * The preferences are what hardware has: L1 in the core; L2 in the core, too,
 * if there is an L3 behind it, else shared by the cluster.
 */
static void choose_levels(const TopoShape *shape, const bool *exists,
                          TopoLevel l1, TopoLevel l2, TopoLevel l3,
                          TopoLevel *level)
{
    TopoLevel wide = shape->clusters ? TOPO_CLUSTER : TOPO_SOCKET;

    l1 = choose_level(l1, TOPO_CORE, TOPO_DEFAULT, MIN(l2, l3));
    l2 = choose_level(l2, exists[TOPO_L3] ? TOPO_CORE : wide, l1, l3);
    l3 = choose_level(l3, TOPO_SOCKET, l2, TOPO_SOCKET);
    level[TOPO_L1D] = exists[TOPO_L1D] ? l1 : TOPO_DEFAULT;
    level[TOPO_L1I] = exists[TOPO_L1I] ? l1 : TOPO_DEFAULT;
    level[TOPO_L2] = exists[TOPO_L2] ? l2 : TOPO_DEFAULT;
    level[TOPO_L3] = exists[TOPO_L3] ? l3 : TOPO_DEFAULT;
}

/* A guest counts levels: with one left out, it takes L3 for L2 */
static bool check_no_hole(const bool *exists, char **why)
{
    if (exists[TOPO_L3] && !exists[TOPO_L2]) {
        *why = g_strdup("smp-cache: l3 needs l2, which the CPU model does not "
                        "have; name l2, too");
        return false;
    }
    if (exists[TOPO_L2] && !exists[TOPO_L1D]) {
        *why = g_strdup("smp-cache: l2 needs l1d, which the CPU model does not "
                        "have; name l1d, too");
        return false;
    }
    return true;
}

/*
 * Guests schedule by who shares the last level: that CPUs share a core but not
 * this makes no sense to them ("arch topology borken" of Linux).
 */
static bool check_last_level(const TopoShape *shape, const TopoLevel *level,
                             char **why)
{
    TopoKind last = level[TOPO_L3] != TOPO_DEFAULT ? TOPO_L3 :
                    level[TOPO_L2] != TOPO_DEFAULT ? TOPO_L2 : TOPO_L1D;
    g_autofree char *allowed = NULL;

    if (shape->threads < 2 || level[last] != TOPO_THREAD) {
        return true;
    }
    allowed = allowed_levels(shape, TOPO_CORE, TOPO_SOCKET);
    *why = g_strdup_printf("smp-cache: %s: topology=thread: the last level is "
                           "shared by the threads=%u of a core at least; "
                           "allowed: %s", topo_kind_name(last), shape->threads,
                           allowed);
    return false;
}

bool topo_plan_levels(const TopoShape *shape, const TopoRequest *request,
                      const TopoCpuCaches *cpu, TopoLevel *level, char **why)
{
    bool exists[TOPO_KINDS];
    TopoLevel l1, l2 = TOPO_DEFAULT, l3 = TOPO_DEFAULT;

    for (int kind = 0; kind < TOPO_KINDS; kind++) {
        exists[kind] = cpu->present[kind] || request[kind].given;
    }
    if (cpu->unified_l1) {
        exists[TOPO_L1I] = false;
    }
    if (level_named(&request[TOPO_L2])) {
        l2 = request[TOPO_L2].level;
    }
    if (level_named(&request[TOPO_L3])) {
        l3 = request[TOPO_L3].level;
    }
    if (!check_levels_exist(shape, request, why) ||
        !l1_level(request, &l1, why) ||
        !check_no_hole(exists, why) ||
        !check_order(shape, TOPO_L1D, l1, TOPO_L2, l2, why) ||
        !check_order(shape, TOPO_L2, l2, TOPO_L3, l3, why) ||
        !check_order(shape, TOPO_L1D, l1, TOPO_L3, l3, why)) {
        return false;
    }
    choose_levels(shape, exists, l1, l2, l3, level);
    return check_last_level(shape, level, why);
}

static bool check_number(TopoKind kind, const char *name, uint64_t value,
                         uint64_t low, uint64_t high, bool power, char **why)
{
    if (value >= low && value <= high && !(power && (value & (value - 1)))) {
        return true;
    }
    *why = g_strdup_printf("smp-cache: %s: %s=%" PRIu64 "; allowed: %s%" PRIu64
                           " to %" PRIu64, topo_kind_name(kind), name, value,
                           power ? "a power of two, " : "", low, high);
    return false;
}

static bool check_ranges(TopoKind kind, const TopoRequest *r, char **why)
{
    return (!r->has_size ||
            check_number(kind, "size", r->size, 1, MAX_SIZE, false, why)) &&
           (!r->has_line ||
            check_number(kind, "line", r->line, MIN_LINE, MAX_LINE, true,
                         why)) &&
           (!r->has_ways ||
            check_number(kind, "ways", r->ways, 1, MAX_WAYS, false, why));
}

static const char *value_source(bool given)
{
    return given ? "" : " (CPU model)";
}

bool topo_plan_geometry(TopoKind kind, const TopoRequest *request,
                        const TopoGeometry *cpu, TopoGeometry *out,
                        char **why)
{
    uint64_t row;

    *out = *cpu;
    if (!request->has_size && !request->has_line && !request->has_ways) {
        return true;
    }
    if (!check_ranges(kind, request, why)) {
        return false;
    }
    out->size = request->has_size ? request->size : cpu->size;
    out->line = request->has_line ? request->line : cpu->line;
    out->ways = request->has_ways ? request->ways : cpu->ways;
    out->sets = 0;
    row = (uint64_t)out->line * out->ways;
    if (!out->size || !row) {
        return true;
    }
    if (out->size % row) {
        *why = g_strdup_printf("smp-cache: %s: size=%" PRIu64 "%s is not a "
                               "multiple of line=%" PRIu32 "%s x ways=%" PRIu32
                               "%s; allowed: multiples of %" PRIu64,
                               topo_kind_name(kind),
                               out->size, value_source(request->has_size),
                               out->line, value_source(request->has_line),
                               out->ways, value_source(request->has_ways), row);
        return false;
    }
    out->sets = out->size / row;
    return true;
}

static bool same_or_absent(bool has_a, uint64_t a, bool has_b, uint64_t b)
{
    return !has_a || !has_b || a == b;
}

/* Both halves may be named where the CPU has one L1 for both: if they agree */
static bool merge_unified_l1(const TopoRequest *request, TopoRequest *merged,
                             char **why)
{
    const TopoRequest *d = &request[TOPO_L1D], *i = &request[TOPO_L1I];

    if (!same_or_absent(d->has_size, d->size, i->has_size, i->size) ||
        !same_or_absent(d->has_line, d->line, i->has_line, i->line) ||
        !same_or_absent(d->has_ways, d->ways, i->has_ways, i->ways)) {
        *why = g_strdup("smp-cache: l1i: the CPU has one L1 for data and "
                        "instructions; allowed: size, line and ways of l1d");
        return false;
    }
    *merged = d->given ? *d : *i;
    if (!merged->has_size) {
        merged->has_size = i->has_size;
        merged->size = i->size;
    }
    if (!merged->has_line) {
        merged->has_line = i->has_line;
        merged->line = i->line;
    }
    if (!merged->has_ways) {
        merged->has_ways = i->has_ways;
        merged->ways = i->ways;
    }
    return true;
}

static TopoOrigin origin_of(const TopoRequest *request,
                            const TopoGeometry *cpu)
{
    if (request->given) {
        return TOPO_ORIGIN_USER;
    }
    return cpu->size ? TOPO_ORIGIN_CPU_MODEL : TOPO_ORIGIN_DEFAULT;
}

static bool plan_caches(TopoTree *tree, const TopoRequest *request,
                        const TopoCpuCaches *cpu, const TopoLevel *level,
                        char **why)
{
    for (int kind = 0; kind < TOPO_KINDS; kind++) {
        TopoCache model = { .kind = kind };

        if (level[kind] == TOPO_DEFAULT) {
            continue;
        }
        model.unified = kind >= TOPO_L2 ||
                        (kind == TOPO_L1D && cpu->unified_l1);
        model.origin = origin_of(&request[kind], &cpu->geometry[kind]);
        if (!topo_plan_geometry(kind, &request[kind], &cpu->geometry[kind],
                                &model.geometry, why)) {
            return false;
        }
        topo_tree_add_caches(tree, &model, level[kind]);
    }
    topo_tree_link_caches(tree);
    return true;
}

TopoTree *topo_plan(const TopoShape *shape, const TopoRequest *request,
                    const TopoCpuCaches *cpu, char **why)
{
    TopoRequest asked[TOPO_KINDS];
    TopoLevel level[TOPO_KINDS];
    g_autoptr(TopoTree) tree = NULL;

    memcpy(asked, request, sizeof(asked));
    if (!topo_plan_levels(shape, asked, cpu, level, why)) {
        return NULL;
    }
    if (cpu->unified_l1 &&
        !merge_unified_l1(request, &asked[TOPO_L1D], why)) {
        return NULL;
    }
    tree = topo_tree_new(shape);
    if (!plan_caches(tree, asked, cpu, level, why)) {
        return NULL;
    }
    return g_steal_pointer(&tree);
}
