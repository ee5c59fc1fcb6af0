/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Containers and caches of a machine
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "topo-plan.h"

static unsigned at_least_one(unsigned count)
{
    return count ? count : 1;
}

unsigned topo_span(const TopoShape *shape, TopoLevel level)
{
    unsigned span = 1;

    if (level >= TOPO_CORE) {
        span *= shape->threads;
    }
    if (level >= TOPO_CLUSTER) {
        span *= shape->cores;
    }
    if (level >= TOPO_DIE) {
        span *= at_least_one(shape->clusters);
    }
    if (level >= TOPO_SOCKET) {
        span *= at_least_one(shape->dies);
    }
    return span;
}

bool topo_has_level(const TopoShape *shape, TopoLevel level)
{
    switch (level) {
    case TOPO_CLUSTER:
        return shape->clusters > 0;
    case TOPO_DIE:
        return shape->dies > 0;
    default:
        return level < TOPO_LEVELS;
    }
}

const char *topo_level_name(TopoLevel level)
{
    static const char *const names[] = {
        [TOPO_THREAD] = "thread", [TOPO_CORE] = "core",
        [TOPO_CLUSTER] = "cluster", [TOPO_DIE] = "die",
        [TOPO_SOCKET] = "socket", [TOPO_DEFAULT] = "default",
    };

    return names[level];
}

const char *topo_kind_name(TopoKind kind)
{
    static const char *const names[] = {
        [TOPO_L1D] = "l1d", [TOPO_L1I] = "l1i", [TOPO_L2] = "l2",
        [TOPO_L3] = "l3",
    };

    return names[kind];
}

/*
 * Cores of one thread are CPUs: firmware tables have no container for them.
 * Nor is one for a level that -smp does not mention.
 */
static bool has_container(const TopoShape *shape, TopoLevel level)
{
    return level == TOPO_CORE ? shape->threads > 1
                              : topo_has_level(shape, level);
}

static void add_node(TopoTree *tree, TopoLevel level, unsigned cpu, int *open)
{
    const TopoShape *shape = &tree->shape;
    unsigned span = topo_span(shape, level);
    int parent = -1;

    for (int above = level + 1; above < TOPO_LEVELS && parent < 0; above++) {
        parent = open[above];
    }
    open[level] = tree->node_count;
    tree->nodes[tree->node_count++] = (TopoNode) {
        .level = level,
        .number = cpu / span,
        .local = (cpu - (parent < 0 ? 0 : tree->nodes[parent].first)) / span,
        .parent = parent,
        .first = cpu,
        .count = MIN(span, shape->cpus - cpu),
    };
}

TopoTree *topo_tree_new(const TopoShape *shape)
{
    TopoTree *tree = g_new0(TopoTree, 1);
    int open[TOPO_LEVELS];

    for (int level = 0; level < TOPO_LEVELS; level++) {
        open[level] = -1;
    }
    tree->shape = *shape;
    tree->nodes = g_new(TopoNode, (size_t)shape->cpus * TOPO_LEVELS);
    for (unsigned cpu = 0; cpu < shape->cpus; cpu++) {
        for (int level = TOPO_SOCKET; level >= TOPO_THREAD; level--) {
            if (cpu % topo_span(shape, level) == 0 &&
                has_container(shape, level)) {
                add_node(tree, level, cpu, open);
            }
        }
    }
    return tree;
}

void topo_tree_add_caches(TopoTree *tree, const TopoCache *model,
                          TopoLevel level)
{
    unsigned span = topo_span(&tree->shape, level);
    unsigned cpus = tree->shape.cpus;
    unsigned count = cpus / span + (cpus % span > 0);

    tree->caches = g_renew(TopoCache, tree->caches,
                           tree->cache_count + count);
    for (unsigned i = 0; i < count; i++) {
        TopoCache *cache = &tree->caches[tree->cache_count++];

        *cache = *model;
        cache->id = tree->cache_count;
        cache->level = level;
        cache->number = i;
        cache->first = i * span;
        cache->count = MIN(span, cpus - i * span);
        cache->next = -1;
    }
}

int topo_tree_cache(const TopoTree *tree, TopoKind kind, unsigned cpu)
{
    for (unsigned i = 0; i < tree->cache_count; i++) {
        const TopoCache *cache = &tree->caches[i];

        if (cache->kind == kind) {
            /* Those of a kind are in a row and all but the last of one size */
            i += cpu / cache->count;
            return i < tree->cache_count && tree->caches[i].kind == kind
                   ? (int)i : -1;
        }
    }
    return -1;
}

void topo_tree_link_caches(TopoTree *tree)
{
    for (unsigned i = 0; i < tree->cache_count; i++) {
        TopoCache *cache = &tree->caches[i];

        if (cache->kind <= TOPO_L1I) {
            cache->next = topo_tree_cache(tree, TOPO_L2, cache->first);
        }
        if (cache->kind < TOPO_L3 && cache->next < 0) {
            cache->next = topo_tree_cache(tree, TOPO_L3, cache->first);
        }
    }
}

void topo_tree_free(TopoTree *tree)
{
    if (tree) {
        g_free(tree->nodes);
        g_free(tree->caches);
        g_free(tree);
    }
}
