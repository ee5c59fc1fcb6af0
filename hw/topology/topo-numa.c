/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On which NUMA node a CPU is that was given to none
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "topo-numa.h"

unsigned topo_numa_node(const TopoShape *shape, unsigned nodes, unsigned cpu)
{
    unsigned per_socket = topo_span(shape, TOPO_SOCKET);
    unsigned per_cluster = topo_span(shape, TOPO_CLUSTER);
    unsigned clusters = per_socket / per_cluster;
    unsigned socket = cpu / per_socket;
    unsigned cluster = cpu % per_socket / per_cluster;
    unsigned share, extra, first;

    /* What is left over has memory alone, and is last: nodes have no gap */
    nodes = MIN(nodes, clusters * shape->sockets);
    if (nodes <= shape->sockets) {
        return socket % nodes;
    }
    /* The first sockets have one node more where it does not come out even */
    extra = nodes % shape->sockets;
    first = socket * (nodes / shape->sockets) + MIN(socket, extra);
    share = nodes / shape->sockets + (socket < extra);
    return first + cluster * share / clusters;
}

int topo_numa_empty(const TopoShape *shape, unsigned nodes)
{
    unsigned clusters = topo_span(shape, TOPO_SOCKET) * shape->sockets /
                        topo_span(shape, TOPO_CLUSTER);

    return nodes > clusters ? (int)clusters : -1;
}
