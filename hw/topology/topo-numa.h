/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On which NUMA node a CPU is that was given to none
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic, GLib only: any thread, it has no state.
 */

#ifndef NEARMETAL_TOPO_NUMA_H
#define NEARMETAL_TOPO_NUMA_H

#include "topo-plan.h"

/**
 * topo_numa_node: the node of a CPU, by cluster
 * @nodes: number of nodes, at least 1
 *
 * With no more nodes than sockets, sockets take turns, as they always did.
 * With more, each socket has nodes of its own, one after the other, and its
 * clusters are spread over these in order.  A cluster is never split.  Where
 * there are more nodes than clusters, each cluster has one, and the last ones
 * have memory alone.
 */
unsigned topo_numa_node(const TopoShape *shape, unsigned nodes, unsigned cpu);

/**
 * topo_numa_empty: the first node that gets no CPU that way, as do all after it
 *
 * Returns: -1 if there is none
 */
int topo_numa_empty(const TopoShape *shape, unsigned nodes);

#endif
