/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The caches of a tree as nodes and properties of a device tree
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic: GLib only.
 */

#ifndef NEARMETAL_TOPO_DT_H
#define NEARMETAL_TOPO_DT_H

#include "topo-plan.h"

typedef enum TopoDtType {
    TOPO_DT_EMPTY,          /* true by being there */
    TOPO_DT_CELL,
    TOPO_DT_STRING,
    TOPO_DT_REF,            /* to the node that describes a cache */
} TopoDtType;

typedef struct TopoDtProp {
    const char *name;
    TopoDtType type;
    uint32_t cell;          /* TOPO_DT_CELL */
    const char *string;     /* TOPO_DT_STRING */
    int cache;              /* TOPO_DT_REF: index in the tree */
} TopoDtProp;

#define TOPO_DT_PROPS   8

/* A node below /cpus */
typedef struct TopoDtNode {
    char name[24];
    int cpu;                /* the node of this CPU, which exists; or -1 */
    int cache;              /* a new node for this cache of the tree; or -1 */
    TopoDtProp prop[TOPO_DT_PROPS];
    unsigned count;
} TopoDtNode;

/**
 * topo_dt_cache: a node of its own, for caches from L2 on
 * @index: of the cache in the tree
 *
 * Returns: false for an L1, which is described where its CPU is
 */
bool topo_dt_cache(const TopoTree *tree, unsigned index, TopoDtNode *node);

/* What is added to the node of @cpu */
void topo_dt_cpu(const TopoTree *tree, unsigned cpu, TopoDtNode *node);

/**
 * topo_dt_expressible: can a device tree say who shares this cache?
 *
 * It has no node for an L1: every CPU has one of its own there.
 */
bool topo_dt_expressible(const TopoCache *cache);

#endif
