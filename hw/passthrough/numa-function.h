/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions of one device share a port
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * All of this runs in the main thread, under the BQL.
 */

#ifndef NEARMETAL_NUMA_FUNCTION_H
#define NEARMETAL_NUMA_FUNCTION_H

#include "hw/pci/pci.h"

typedef struct VFIOPCIDevice VFIOPCIDevice;

/* numa_function_slot: the slot that addr= asks for; 0 if it is not given */
unsigned numa_function_slot(const VFIOPCIDevice *vdev);

/* numa_function_no_slot: why it cannot be had below a port; to be freed */
char *numa_function_no_slot(const VFIOPCIDevice *vdev);

/* numa_function_number: the function that addr= asks for; 0 by default */
unsigned numa_function_number(const VFIOPCIDevice *vdev);

/**
 * numa_function_port: where the function 0 is that the device belongs to
 * @vdev: another function than 0
 * @why: filled in if there is none: why, in words, to be freed
 *
 * That is the one that comes from the same device of the host, or else the
 * only one on @node that is multifunction.
 *
 * Returns: the bus below a port on @node, or NULL
 */
PCIBus *numa_function_port(const VFIOPCIDevice *vdev, PCIBus *main_root,
                           int node, char **why);

#endif
