/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NUMA nodes of PCI buses
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * All of this runs in the main thread, under the BQL.
 */

#ifndef NEARMETAL_NUMA_BUS_H
#define NEARMETAL_NUMA_BUS_H

#include "hw/pci/pci.h"

/**
 * numa_bus_main_root: the root bus of the host bridge that the machine has by
 * itself, and below which the pxb-pcie's of @bus are
 */
PCIBus *numa_bus_main_root(PCIBus *bus);

/**
 * numa_bus_settable: does the machine describe root bus @root with the node
 * that it is given by numa_bus_set_node()?
 */
bool numa_bus_settable(const PCIBus *root);

/**
 * numa_bus_set_node: give a settable root bus a node
 * @node: of the guest, -1: none
 */
void numa_bus_set_node(PCIBus *root, int node);

/**
 * numa_bus_node: the node that the guest sees devices on @bus on
 *
 * Returns: the node, -1 if there is none
 */
int numa_bus_node(PCIBus *bus);

/**
 * numa_bus_node_text: the same in words: "node 1" or "no node"; to be freed
 */
char *numa_bus_node_text(PCIBus *bus);

/* Is the bus below a port the one that is looked for? */
typedef bool NumaBusTest(PCIBus *bus, void *opaque);

/**
 * numa_bus_find: a bus below a port on @node that passes @test
 *
 * Returns: the first in the order of bus and device numbers; NULL if none does
 */
PCIBus *numa_bus_find(PCIBus *main_root, int node, NumaBusTest *test,
                      void *opaque);

/**
 * numa_bus_find_port: a port on @node that a device can be plugged into
 * @main_root: of the machine
 * @node: of the guest
 *
 * Once the machine has been created, the port is a hot-pluggable one.
 *
 * Returns: the bus below a free port, the first in the order of bus and device
 * numbers; NULL if there is none
 */
PCIBus *numa_bus_find_port(PCIBus *main_root, int node);

/**
 * numa_bus_remedy: how to get a device on @node, in words; to be freed
 * @main_root: of the machine
 * @node: of the guest
 */
char *numa_bus_remedy(PCIBus *main_root, int node);

#endif
