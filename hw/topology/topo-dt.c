/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The caches of a tree as nodes and properties of a device tree
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * The properties are those of the Devicetree Specification, 3.8 and 3.9.
 */

#ifndef NATIVE_UNIT_TEST
#include "qemu/osdep.h"
#endif
#include "topo-dt.h"

static void add(TopoDtNode *node, TopoDtProp prop)
{
    g_assert(node->count < TOPO_DT_PROPS);
    node->prop[node->count++] = prop;
}

/* A size that nobody tells is left out, as is one that a cell cannot hold */
static void add_number(TopoDtNode *node, const char *name, uint64_t value)
{
    if (value && value <= UINT32_MAX) {
        add(node, (TopoDtProp) { .name = name, .type = TOPO_DT_CELL,
                                 .cell = value });
    }
}

static void add_next(TopoDtNode *node, int cache)
{
    if (cache >= 0) {
        add(node, (TopoDtProp) { .name = "next-level-cache",
                                     .type = TOPO_DT_REF, .cache = cache });
    }
}

static void add_unified(TopoDtNode *node, const TopoGeometry *g)
{
    add(node, (TopoDtProp) { .name = "cache-unified",
                                 .type = TOPO_DT_EMPTY });
    add_number(node, "cache-size", g->size);
    add_number(node, "cache-sets", g->sets);
    add_number(node, "cache-line-size", g->line);
}

static void add_half(TopoDtNode *node, const char *size, const char *sets,
                     const char *line, const TopoGeometry *g)
{
    add_number(node, size, g->size);
    add_number(node, sets, g->sets);
    add_number(node, line, g->line);
}

bool topo_dt_cache(const TopoTree *tree, unsigned index, TopoDtNode *node)
{
    const TopoCache *cache = &tree->caches[index];

    if (cache->kind < TOPO_L2) {
        return false;
    }
    *node = (TopoDtNode) { .cpu = -1, .cache = index };
    g_snprintf(node->name, sizeof(node->name), "%s-cache%u",
               topo_kind_name(cache->kind), cache->number);
    add(node, (TopoDtProp) { .name = "compatible", .type = TOPO_DT_STRING,
                             .string = "cache" });
    add_number(node, "cache-level", cache->kind == TOPO_L2 ? 2 : 3);
    add_unified(node, &cache->geometry);
    add_next(node, cache->next);
    return true;
}

void topo_dt_cpu(const TopoTree *tree, unsigned cpu, TopoDtNode *node)
{
    int d = topo_tree_cache(tree, TOPO_L1D, cpu);
    int i = topo_tree_cache(tree, TOPO_L1I, cpu);

    *node = (TopoDtNode) { .cpu = cpu, .cache = -1 };
    g_snprintf(node->name, sizeof(node->name), "cpu@%u", cpu);
    if (d >= 0 && tree->caches[d].unified) {
        add_unified(node, &tree->caches[d].geometry);
    } else if (d >= 0) {
        add_half(node, "d-cache-size", "d-cache-sets", "d-cache-line-size",
                 &tree->caches[d].geometry);
    }
    if (i >= 0) {
        add_half(node, "i-cache-size", "i-cache-sets", "i-cache-line-size",
                 &tree->caches[i].geometry);
    }
    if (d >= 0 || i >= 0) {
        add_next(node, tree->caches[d >= 0 ? d : i].next);
    }
}

bool topo_dt_expressible(const TopoCache *cache)
{
    return cache->kind >= TOPO_L2 || cache->count == 1;
}
