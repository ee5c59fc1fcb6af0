/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-pci's property numa-node: put a device on a NUMA node of the guest
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Guests look at the node of a device's host bridge and at nothing else.  With
 * ACPI that is the numa_node of the pxb-pcie that the device is below; without
 * (Arm virt) there is one host bridge, which gets the node that all devices
 * agree on.
 *
 * All of this runs in the main thread, under the BQL.
 */

#ifndef NEARMETAL_NUMA_NODE_H
#define NEARMETAL_NUMA_NODE_H

#include "hw/qdev-properties.h"

typedef struct VFIOPCIDevice VFIOPCIDevice;

/* off, auto or a number; the field holds a node or a NumaPlanRequest */
extern const PropertyInfo vfio_numa_node_prop;

/**
 * vfio_numa_class_init: vfio-pci chooses its bus, and tells its actual node
 */
void vfio_numa_class_init(DeviceClass *dc);

/**
 * vfio_numa_check: can the device have the node that was given by number?
 * @vdev: device being realized, on its bus
 *
 * Returns: false if not, with @errp set
 */
bool vfio_numa_check(VFIOPCIDevice *vdev, Error **errp);

/**
 * vfio_numa_realized: the device is there
 * @vdev: device at the end of its realization
 *
 * Gives the node to a host bridge that can take it, and warns if the node that
 * auto found is not the one that the guest sees.
 */
void vfio_numa_realized(VFIOPCIDevice *vdev);

/**
 * vfio_host_folder: where sysfs has the host device, however it was given
 *
 * Returns: the folder, to be freed; NULL if sysfs does not tell
 */
char *vfio_host_folder(const VFIOPCIDevice *vdev);

/**
 * vfio_numa_wanted: the node that the property asks for
 * @vdev: device that is being realized, or is
 * @why: filled in if there is none: why, in words, to be freed
 *
 * Returns: a number, as it was given, or the node that auto finds; -1: none
 */
int vfio_numa_wanted(VFIOPCIDevice *vdev, char **why);

/**
 * vfio_numa_actual: the node that the guest sees the device on
 * @vdev: device on a bus
 *
 * Returns: a node of the guest, -1: none
 */
int vfio_numa_actual(VFIOPCIDevice *vdev);

#endif
