/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What a Processor Properties Topology Table says, read as Linux reads it
 */

#include "qemu/osdep.h"
#include "pptt-read.h"

#define HEADER 36

static uint32_t le(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint32_t)p[i] << 8 * i;
    }
    return value;
}

static const PpttNode *node_at(const Pptt *pptt, uint32_t offset)
{
    for (unsigned i = 0; i < pptt->nodes->len; i++) {
        const PpttNode *node = &g_array_index(pptt->nodes, PpttNode, i);

        if (node->offset == offset) {
            return node;
        }
    }
    return NULL;
}

/* They are in the order of their offsets */
static const PpttCache *cache_at(const Pptt *pptt, uint32_t offset)
{
    unsigned low = 0, high = pptt->caches->len;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const PpttCache *c = &g_array_index(pptt->caches, PpttCache, middle);

        if (c->offset == offset) {
            return c;
        }
        if (c->offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static bool read_node(Pptt *pptt, const uint8_t *p, uint32_t offset,
                      char **why)
{
    PpttNode node = {
        .offset = offset,
        .flags = le(p + 4, 4),
        .parent = le(p + 8, 4),
        .id = le(p + 12, 4),
        .count = le(p + 16, 4),
    };

    if (p[1] < 20 || p[1] != 20 + 4 * node.count || node.count > 8) {
        *why = g_strdup_printf("node at %u: %u bytes, %u resources", offset,
                               p[1], node.count);
        return false;
    }
    for (unsigned i = 0; i < node.count; i++) {
        node.resource[i] = le(p + 20 + 4 * i, 4);
        if (!cache_at(pptt, node.resource[i])) {
            *why = g_strdup_printf("node at %u: no cache at %u", offset,
                                   node.resource[i]);
            return false;
        }
    }
    if (node.parent && !node_at(pptt, node.parent)) {
        *why = g_strdup_printf("node at %u: no parent at %u", offset,
                               node.parent);
        return false;
    }
    g_array_append_val(pptt->nodes, node);
    return true;
}

static bool read_cache(Pptt *pptt, const uint8_t *p, uint32_t offset,
                       char **why)
{
    PpttCache cache = {
        .offset = offset,
        .flags = le(p + 4, 4),
        .next = le(p + 8, 4),
        .size = le(p + 12, 4),
        .sets = le(p + 16, 4),
        .ways = p[20],
        .attributes = p[21],
        .line = le(p + 22, 2),
        .id = pptt->revision >= 3 ? le(p + 24, 4) : 0,
    };

    if (p[1] != (pptt->revision >= 3 ? 28 : 24)) {
        *why = g_strdup_printf("cache at %u: %u bytes", offset, p[1]);
        return false;
    }
    if (cache.next && !cache_at(pptt, cache.next)) {
        *why = g_strdup_printf("cache at %u: no next level at %u", offset,
                               cache.next);
        return false;
    }
    g_array_append_val(pptt->caches, cache);
    return true;
}

Pptt *pptt_read(const uint8_t *table, size_t size, char **why)
{
    Pptt *pptt = g_new0(Pptt, 1);
    size_t offset = HEADER;
    bool ok = size >= HEADER && le(table + 4, 4) == size;

    pptt->nodes = g_array_new(false, false, sizeof(PpttNode));
    pptt->caches = g_array_new(false, false, sizeof(PpttCache));
    if (!ok) {
        *why = g_strdup("length in the header");
    } else {
        pptt->revision = table[8];
    }
    while (ok && offset < size) {
        const uint8_t *p = table + offset;
        unsigned length = size - offset >= 2 ? p[1] : 0;

        if (length < 20 || length > size - offset || p[0] > 1) {
            *why = g_strdup_printf("type and length at %zu", offset);
            ok = false;
        } else {
            ok = p[0] == 0 ? read_node(pptt, p, offset, why)
                           : read_cache(pptt, p, offset, why);
        }
        offset += length;
    }
    if (!ok) {
        pptt_free(pptt);
        return NULL;
    }
    return pptt;
}

void pptt_free(Pptt *pptt)
{
    g_array_free(pptt->nodes, true);
    g_array_free(pptt->caches, true);
    g_free(pptt);
}

const PpttNode *pptt_cpu(const Pptt *pptt, uint32_t id)
{
    for (unsigned i = 0; i < pptt->nodes->len; i++) {
        const PpttNode *node = &g_array_index(pptt->nodes, PpttNode, i);

        if (node->flags & PPTT_LEAF && node->flags & PPTT_ID_VALID &&
            node->id == id) {
            return node;
        }
    }
    return NULL;
}

unsigned pptt_cpus(const Pptt *pptt)
{
    unsigned count = 0;

    for (unsigned i = 0; i < pptt->nodes->len; i++) {
        count += !!(g_array_index(pptt->nodes, PpttNode, i).flags & PPTT_LEAF);
    }
    return count;
}

const PpttNode *pptt_parent(const Pptt *pptt, const PpttNode *node)
{
    return node->parent ? node_at(pptt, node->parent) : NULL;
}

uint32_t pptt_tag(const PpttNode *node)
{
    return node->flags & PPTT_ID_VALID ? node->id : node->offset;
}

unsigned pptt_type(const PpttCache *cache)
{
    unsigned type = cache->attributes >> 2 & 3;

    return type == 3 ? PPTT_UNIFIED : type;
}

typedef struct Search {
    unsigned level, type;
    const PpttCache *found;
    bool twice;
} Search;

/* Returns: the level of the last cache of the chain */
static unsigned walk_chain(const Pptt *pptt, unsigned level, uint32_t offset,
                           Search *search)
{
    const PpttCache *cache = cache_at(pptt, offset);

    while (cache) {
        level++;
        if (level == search->level && pptt_type(cache) == search->type) {
            search->twice |= search->found && search->found != cache;
            search->found = cache;
        }
        cache = cache->next ? cache_at(pptt, cache->next) : NULL;
    }
    return level;
}

/* From the CPU up: each node goes on where the one below ended */
static unsigned walk_up(const Pptt *pptt, uint32_t cpu, Search *search)
{
    const PpttNode *node = pptt_cpu(pptt, cpu);
    unsigned level = 0;

    for (; node; node = pptt_parent(pptt, node)) {
        unsigned last = level;

        for (unsigned i = 0; i < node->count; i++) {
            last = MAX(last, walk_chain(pptt, level, node->resource[i],
                                        search));
        }
        level = last;
    }
    return level;
}

unsigned pptt_levels(const Pptt *pptt, uint32_t cpu)
{
    Search search = { 0 };

    return walk_up(pptt, cpu, &search);
}

const PpttCache *pptt_cache(const Pptt *pptt, uint32_t cpu, unsigned level,
                            unsigned type, bool *twice)
{
    Search search = { .level = level, .type = type };

    walk_up(pptt, cpu, &search);
    *twice = search.twice;
    return search.found;
}

static bool has_cache(const Pptt *pptt, const PpttCache *cache,
                      unsigned level, uint32_t cpu)
{
    bool twice;

    return pptt_cache(pptt, cpu, level, pptt_type(cache), &twice) == cache;
}

char *pptt_sharing(const Pptt *pptt, const PpttCache *cache, unsigned level,
                   unsigned cpus)
{
    GString *text = g_string_new(NULL);

    for (unsigned cpu = 0, end; cpu < cpus; cpu = end + 1) {
        end = cpu;
        while (end < cpus && has_cache(pptt, cache, level, end)) {
            end++;
        }
        if (end > cpu + 1) {
            g_string_append_printf(text, "%s%u-%u", text->len ? "," : "", cpu,
                                   end - 1);
        } else if (end > cpu) {
            g_string_append_printf(text, "%s%u", text->len ? "," : "", cpu);
        }
    }
    return g_string_free(text, false);
}
