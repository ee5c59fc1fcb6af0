/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What a Processor Properties Topology Table says, read as Linux reads it
 *
 * GLib only: unit tests and qtests share it.  It has nothing in common with
 * what writes the table.
 */
#ifndef NEARMETAL_PPTT_READ_H
#define NEARMETAL_PPTT_READ_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define PPTT_PACKAGE        (1 << 0)
#define PPTT_ID_VALID       (1 << 1)
#define PPTT_THREAD         (1 << 2)
#define PPTT_LEAF           (1 << 3)

#define PPTT_ALL_VALID      0xff        /* flags of a cache with an ID */
#define PPTT_DATA           0
#define PPTT_INSTRUCTION    1
#define PPTT_UNIFIED        2

typedef struct PpttNode {
    uint32_t offset, flags, parent, id;
    unsigned count;
    uint32_t resource[8];
} PpttNode;

typedef struct PpttCache {
    uint32_t offset, flags, next, size, sets;
    uint8_t ways, attributes;
    uint16_t line;
    uint32_t id;
} PpttCache;

typedef struct Pptt {
    unsigned revision;
    GArray *nodes;              /* of PpttNode */
    GArray *caches;             /* of PpttCache */
} Pptt;

/*
 * @table: from its header on
 *
 * Returns: NULL and *@why, to be freed, if the table is not well-formed: sizes,
 * references to what is not there or not before
 */
Pptt *pptt_read(const uint8_t *table, size_t size, char **why);
void pptt_free(Pptt *pptt);

/* The node of a CPU by its ACPI processor ID; NULL: there is none */
const PpttNode *pptt_cpu(const Pptt *pptt, uint32_t id);

/* Number of nodes that are a CPU */
unsigned pptt_cpus(const Pptt *pptt);

/* The container around a node; NULL: there is none */
const PpttNode *pptt_parent(const Pptt *pptt, const PpttNode *node);

/*
 * The number that Linux gives a node: by its ID if that
 * is valid, else by its offset
 */
uint32_t pptt_tag(const PpttNode *node);

/* Number of cache levels that Linux finds for a CPU */
unsigned pptt_levels(const Pptt *pptt, uint32_t cpu);

/* Type of a cache: data, instruction or unified */
unsigned pptt_type(const PpttCache *cache);

/*
 * The cache of that level and type; NULL: there is none. Two different ones
 * are an error: *@twice
 */
const PpttCache *pptt_cache(const Pptt *pptt, uint32_t cpu, unsigned level,
                            unsigned type, bool *twice);

/* CPUs below @cpus that have this cache at @level, "0-3,8"; to be freed */
char *pptt_sharing(const Pptt *pptt, const PpttCache *cache, unsigned level,
                   unsigned cpus);

#endif
