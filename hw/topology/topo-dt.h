/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The caches of a tree as nodes and properties of a device tree
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic: GLib and libfdt only; any thread.
 */

#ifndef NEARMETAL_TOPO_DT_H
#define NEARMETAL_TOPO_DT_H

#include "topo-plan.h"

typedef struct TopoDt {
    const TopoTree *tree;
    const uint32_t *phandle;    /* of each cache from L2 on */
    void *out;                  /* a device tree that libfdt is writing */
    int err;                    /* the first one of libfdt */
} TopoDt;

/* topo_dt_cpu: the properties that are added to the node of @cpu */
void topo_dt_cpu(TopoDt *dt, unsigned cpu);

/* topo_dt_caches: nodes below /cpus for caches from L2 on */
void topo_dt_caches(TopoDt *dt);

#endif
