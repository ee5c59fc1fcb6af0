/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/vfio/pci.h"
#include "hw/nearmetal/passthrough/numa-node.h"
#include "hw/nearmetal/passthrough/numa-plan.h"
#include "tuning.h"

static char *node_text(int node)
{
    return node < 0 ? g_strdup("none") : g_strdup_printf("%d", node);
}

/* What auto found to be right is what it was asked for */
void tuning_device_node(TuningList *list, Object *device)
{
    VFIOPCIDevice *vdev =
        (VFIOPCIDevice *)object_dynamic_cast(device, TYPE_VFIO_PCI);
    g_autofree char *why = NULL;
    char *requested = NULL;
    TuningItem *item;

    if (!vdev) {
        return;
    }
    if (vdev->numa_node != NUMA_PLAN_OFF) {
        requested = node_text(vfio_numa_wanted(vdev, &why));
    }
    item = tuning_add(list, TUNING_AREA_NUMA, device, "numa-node", requested,
                      node_text(vfio_numa_actual(vdev)));
    if (why) {
        item->status = TUNING_STATUS_UNAVAILABLE;
        item->reason = g_strdup_printf("numa-node=auto: %s", why);
    }
}
