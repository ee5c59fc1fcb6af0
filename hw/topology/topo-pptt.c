/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Processor Properties Topology Table of a tree (ACPI 6.5, 5.2.30)
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "topo-pptt.h"

/* Processor hierarchy node */
#define TYPE_PROCESSOR          0
#define PROCESSOR_SIZE          20
#define FLAG_PACKAGE            (1 << 0)
#define FLAG_ID_VALID           (1 << 1)
#define FLAG_THREAD             (1 << 2)
#define FLAG_LEAF               (1 << 3)

/* Cache */
#define TYPE_CACHE              1
#define CACHE_SIZE              28
#define FLAG_SIZE               (1 << 0)
#define FLAG_SETS               (1 << 1)
#define FLAG_WAYS               (1 << 2)
#define FLAG_ALLOCATION         (1 << 3)
#define FLAG_TYPE               (1 << 4)
#define FLAG_WRITE_POLICY       (1 << 5)
#define FLAG_LINE               (1 << 6)
#define FLAG_CACHE_ID           (1 << 7)
#define ALLOCATE_READ           0
#define ALLOCATE_READ_WRITE     2
#define ATTR_DATA               (0 << 2)
#define ATTR_INSTRUCTION        (1 << 2)
#define ATTR_UNIFIED            (2 << 2)
#define MAX_WAYS                255

/* Caches of one node: at most one of each kind */
typedef struct NodeCaches {
    uint32_t offset[TOPO_KINDS];        /* 0: there is none */
} NodeCaches;

static void pptt_append(GByteArray *table, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t byte = value >> 8 * i;

        g_byte_array_append(table, &byte, 1);
    }
}

static uint32_t next_offset(const GByteArray *table)
{
    return TOPO_PPTT_HEADER + table->len;
}

static uint32_t cache_flags(const TopoGeometry *g)
{
    uint32_t flags = FLAG_ALLOCATION | FLAG_TYPE | FLAG_WRITE_POLICY |
                     FLAG_CACHE_ID;

    flags |= g->size && g->size <= UINT32_MAX ? FLAG_SIZE : 0;
    flags |= g->sets ? FLAG_SETS : 0;
    flags |= g->ways && g->ways <= MAX_WAYS ? FLAG_WAYS : 0;
    flags |= g->line ? FLAG_LINE : 0;
    return flags;
}

static uint8_t cache_attributes(const TopoCache *cache)
{
    if (cache->unified) {
        return ATTR_UNIFIED | ALLOCATE_READ_WRITE;
    }
    return cache->kind == TOPO_L1I ? ATTR_INSTRUCTION | ALLOCATE_READ
                                   : ATTR_DATA | ALLOCATE_READ_WRITE;
}

static void append_cache(GByteArray *table, const TopoCache *cache,
                         uint32_t next)
{
    const TopoGeometry *g = &cache->geometry;
    uint32_t flags = cache_flags(g);

    pptt_append(table, TYPE_CACHE, 1);
    pptt_append(table, CACHE_SIZE, 1);
    pptt_append(table, 0, 2);                            /* reserved */
    pptt_append(table, flags, 4);
    pptt_append(table, next, 4);                    /* next level of cache */
    pptt_append(table, flags & FLAG_SIZE ? g->size : 0, 4);
    pptt_append(table, g->sets, 4);
    pptt_append(table, flags & FLAG_WAYS ? g->ways : 0, 1);
    pptt_append(table, cache_attributes(cache), 1);
    pptt_append(table, g->line, 2);
    pptt_append(table, cache->id, 4);
}

/* The node that a cache of @level belongs to: that of the CPU for sole CPUs */
static TopoLevel home_level(const TopoTree *tree, TopoLevel level)
{
    return level == TOPO_CORE && tree->shape.threads == 1 ? TOPO_THREAD
                                                          : level;
}

/*
 * @at: for each kind, the index of the first cache that no node before this
 * one has; caches and nodes of a level come in the same order
 */
static void append_caches(GByteArray *table, const TopoTree *tree,
                          const TopoNode *node, unsigned *at, NodeCaches *out)
{
    *out = (NodeCaches) { };
    for (int kind = TOPO_L3; kind >= TOPO_L1D; kind--) {
        const TopoCache *cache;
        uint32_t next = 0;

        /* Without caches there is no array, and nothing to be in it */
        if (at[kind] == tree->cache_count) {
            continue;
        }
        cache = &tree->caches[at[kind]];
        if ((int)cache->kind != kind ||
            home_level(tree, cache->level) != node->level) {
            continue;
        }
        for (int above = MAX(kind + 1, (int)TOPO_L2);
             above < TOPO_KINDS && !next; above++) {
            next = out->offset[above];
        }
        out->offset[kind] = next_offset(table);
        append_cache(table, cache, next);
        at[kind]++;
    }
}

/* The head of the chain; two of them where L1 is in halves */
static unsigned private_list(const NodeCaches *caches, uint32_t *list)
{
    unsigned count = 0;

    for (int kind = 0; kind < TOPO_KINDS; kind++) {
        if (caches->offset[kind] && (count == 0 || kind == TOPO_L1I)) {
            list[count++] = caches->offset[kind];
        }
    }
    return count;
}

static uint32_t node_flags(const TopoTree *tree, const TopoNode *node,
                           bool stable_ids)
{
    switch (node->level) {
    case TOPO_THREAD:
        return FLAG_ID_VALID | FLAG_LEAF |
               (tree->shape.threads > 1 ? FLAG_THREAD : 0);
    case TOPO_SOCKET:
        return FLAG_PACKAGE | (stable_ids ? FLAG_ID_VALID : 0);
    default:
        return stable_ids ? FLAG_ID_VALID : 0;
    }
}

static uint32_t node_id(const TopoNode *node, bool stable_ids)
{
    return node->level == TOPO_THREAD || stable_ids ? node->number
                                                    : node->local;
}

GByteArray *topo_pptt(const TopoTree *tree, bool stable_ids)
{
    GByteArray *table = g_byte_array_new();
    g_autofree uint32_t *offset = g_new(uint32_t, tree->node_count);
    unsigned at[TOPO_KINDS] = { 0 };

    for (unsigned i = tree->cache_count; i-- > 0; ) {
        at[tree->caches[i].kind] = i;
    }
    for (unsigned i = 0; i < tree->node_count; i++) {
        const TopoNode *node = &tree->nodes[i];
        uint32_t list[TOPO_KINDS];
        unsigned count;
        NodeCaches caches;

        append_caches(table, tree, node, at, &caches);
        count = private_list(&caches, list);
        offset[i] = next_offset(table);
        pptt_append(table, TYPE_PROCESSOR, 1);
        pptt_append(table, PROCESSOR_SIZE + count * 4, 1);
        pptt_append(table, 0, 2);                        /* reserved */
        pptt_append(table, node_flags(tree, node, stable_ids), 4);
        pptt_append(table, node->parent < 0 ? 0 : offset[node->parent], 4);
        pptt_append(table, node_id(node, stable_ids), 4);
        pptt_append(table, count, 4);
        for (unsigned n = 0; n < count; n++) {
            pptt_append(table, list[n], 4);
        }
    }
    return table;
}

uint32_t topo_container_uid(const TopoNode *node)
{
    unsigned above = TOPO_SOCKET - node->level;

    return above << 16 | node->number;
}
