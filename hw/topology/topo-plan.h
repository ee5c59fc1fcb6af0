/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the shape of -smp and the caches asked for to what the guest is told
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic, GLib only: any thread.  One tree is planned for a machine; the
 * writers of ACPI tables (topo-pptt.h) and of the device tree (topo-dt.h) and
 * the query all read it, so that they cannot disagree.
 */

#ifndef NEARMETAL_TOPO_PLAN_H
#define NEARMETAL_TOPO_PLAN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * From narrow to wide.  What x86 calls a module is a cluster here; on x86 and
 * Arm alike it is the only level between core and die.
 */
typedef enum TopoLevel {
    TOPO_THREAD,
    TOPO_CORE,
    TOPO_CLUSTER,
    TOPO_DIE,
    TOPO_SOCKET,
    TOPO_LEVELS,
    TOPO_DEFAULT = TOPO_LEVELS,
} TopoLevel;

/* In the order of QEMU's CacheLevelAndType */
typedef enum TopoKind {
    TOPO_L1D,               /* also a unified L1 */
    TOPO_L1I,
    TOPO_L2,
    TOPO_L3,
    TOPO_KINDS,
} TopoKind;

/* A product of all but @cpus is the number of CPUs that are possible */
typedef struct TopoShape {
    unsigned sockets;
    unsigned dies;          /* in a socket; 0: the level does not exist */
    unsigned clusters;      /* in a die; 0: the level does not exist */
    unsigned cores;         /* in a cluster */
    unsigned threads;       /* in a core */
    unsigned cpus;          /* present: the first ones */
} TopoShape;

/* 0: unknown, in each field */
typedef struct TopoGeometry {
    uint64_t size;          /* bytes */
    uint32_t line;          /* bytes */
    uint32_t ways;
    uint32_t sets;
} TopoGeometry;

/* One element of the property smp-cache */
typedef struct TopoRequest {
    bool given;
    TopoLevel level;        /* TOPO_DEFAULT: as if it were not named */
    bool cluster_word;      /* x86: "cluster" was said, "module" is meant */
    bool has_size, has_line, has_ways;
    uint64_t size;
    uint64_t line;
    uint64_t ways;
} TopoRequest;

/* What the CPU model has */
typedef struct TopoCpuCaches {
    bool unified_l1;        /* it counts as TOPO_L1D */
    bool present[TOPO_KINDS];
    TopoGeometry geometry[TOPO_KINDS];
} TopoCpuCaches;

/* In the order of CpuCacheOrigin */
typedef enum TopoOrigin {
    TOPO_ORIGIN_USER,       /* named in the property */
    TOPO_ORIGIN_CPU_MODEL,  /* not named; the CPU model says what it is like */
    TOPO_ORIGIN_DEFAULT,    /* not named; the CPU model just says it exists */
} TopoOrigin;

/* A cache, and the CPUs present that it serves */
typedef struct TopoCache {
    uint32_t id;            /* from 1, no other cache has it */
    TopoKind kind;
    bool unified;
    TopoLevel level;
    unsigned number;        /* of its kind, from 0 */
    unsigned first, count;  /* CPUs */
    TopoGeometry geometry;
    TopoOrigin origin;
    int next;               /* index of the next level's cache; -1: none */
} TopoCache;

/* A socket, cluster, core or CPU with CPUs present in it */
typedef struct TopoNode {
    TopoLevel level;        /* TOPO_THREAD: a CPU, TOPO_CORE: of threads */
    unsigned number;        /* in the machine, of its level, from 0 */
    unsigned local;         /* the same in its parent */
    int parent;             /* index; -1: none */
    unsigned first, count;  /* CPUs */
} TopoNode;

typedef struct TopoTree {
    TopoShape shape;
    TopoNode *nodes;        /* each after its parent, CPUs in order */
    unsigned node_count;
    TopoCache *caches;      /* by kind, then by CPU */
    unsigned cache_count;
} TopoTree;

/**
 * topo_plan: what the guest is to be told
 * @request: TOPO_KINDS of them
 * @cpu: caches of the CPU model
 * @why: filled in on failure: property, value and what is allowed, to be freed
 *
 * A kind of cache exists if it is named or if the CPU model has it.  One that
 * is not named gets a level that fits between those that are.
 *
 * Returns: a tree, NULL if the request makes no sense for this shape or CPU
 */
TopoTree *topo_plan(const TopoShape *shape, const TopoRequest *request,
                    const TopoCpuCaches *cpu, char **why);

/**
 * topo_plan_levels: the first half: which kinds exist, and at which level
 * @level: TOPO_KINDS of them, filled in; TOPO_DEFAULT: there is no such cache
 */
bool topo_plan_levels(const TopoShape *shape, const TopoRequest *request,
                      const TopoCpuCaches *cpu, TopoLevel *level, char **why);

/**
 * topo_plan_geometry: size, line, ways and sets from request and CPU model
 * @out: filled in; fields that nobody tells are 0
 */
bool topo_plan_geometry(TopoKind kind, const TopoRequest *request,
                        const TopoGeometry *cpu, TopoGeometry *out,
                        char **why);

/* The second half: containers and caches */
TopoTree *topo_tree_new(const TopoShape *shape);
void topo_tree_add_caches(TopoTree *tree, const TopoCache *model,
                          TopoLevel level);
void topo_tree_link_caches(TopoTree *tree);
void topo_tree_free(TopoTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TopoTree, topo_tree_free)

/* The cache of @kind that serves @cpu, -1 if there is none */
int topo_tree_cache(const TopoTree *tree, TopoKind kind, unsigned cpu);

/* Number of CPUs in a container of @level; possible ones */
unsigned topo_span(const TopoShape *shape, TopoLevel level);

/* Is there such a level in this shape? */
bool topo_has_level(const TopoShape *shape, TopoLevel level);

const char *topo_level_name(TopoLevel level);
const char *topo_kind_name(TopoKind kind);

#endif
