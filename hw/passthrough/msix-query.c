/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-vfio-msix
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "hw/vfio/pci.h"
#include "qapi/qapi-commands-vfio-msix.h"
#include "msix-relocation.h"
#include "numa-node.h"

static VfioMsixArea *query_area(unsigned bar, uint64_t offset, uint64_t size)
{
    VfioMsixArea *area = g_new(VfioMsixArea, 1);

    *area = (VfioMsixArea) { .bar = bar, .offset = offset, .size = size };
    return area;
}

static void info_areas(VfioMsixInfo *info, const VFIOPCIDevice *vdev)
{
    const MsixLayout *l = &vdev->msix_state->layout;
    const VFIOMSIXInfo *msix = vdev->msix;
    uint64_t table_size = msix_table_size(l->entries);
    uint64_t pba_size = msix_pba_size(l->entries);

    if (!l->entries) {
        return;
    }
    info->table = query_area(msix->table_bar, msix->table_offset, table_size);
    info->pba = query_area(msix->pba_bar, msix->pba_offset, pba_size);
    info->host_table = query_area(l->table_bar, l->table_offset, table_size);
    info->host_pba = query_area(l->pba_bar, l->pba_offset, pba_size);
}

static void info_traps(VfioMsixInfo *info, VFIOPCIDevice *vdev)
{
    VfioMsixTrapList **tail = &info->trapped;
    const GArray *traps = vdev->msix_state->traps;

    for (guint i = 0; traps && i < traps->len; i++) {
        const VFIOMsixTrap *t = &g_array_index(traps, VFIOMsixTrap, i);
        VfioMsixTrap *trap;

        /* What has trapped is worth knowing, though it does not now */
        if (!vfio_msix_trap_active(vdev, t) &&
            !(t->pba && t->reads + t->writes)) {
            continue;
        }
        trap = g_new(VfioMsixTrap, 1);
        *trap = (VfioMsixTrap) {
            .bar = t->bar, .offset = t->offset, .size = t->size,
            .reads = t->reads, .writes = t->writes,
        };
        QAPI_LIST_APPEND(tail, trap);
    }
}

static void info_numa(VfioMsixInfo *info, VFIOPCIDevice *vdev)
{
    int node = vfio_numa_actual(vdev);

    info->has_numa_node = node >= 0;
    info->numa_node = node;
}

/* A device given by descriptor has no name of its own: what sysfs calls it */
static char *host_name(const VFIOPCIDevice *vdev)
{
    g_autofree char *folder = NULL;

    if (vdev->vbasedev.fd < 0 || vdev->vbasedev.sysfsdev) {
        return g_strdup(vdev->vbasedev.name);
    }
    folder = vfio_host_folder(vdev);
    return folder ? g_path_get_basename(folder) :
           g_strdup(vdev->vbasedev.name);
}

static VfioMsixInfo *query_device(VFIOPCIDevice *vdev)
{
    const VFIOMsixState *s = vdev->msix_state;
    VfioMsixInfo *info = g_new0(VfioMsixInfo, 1);

    info->id = g_strdup(DEVICE(vdev)->id);
    info->qom_path = object_get_canonical_path(OBJECT(vdev));
    info->host = host_name(vdev);
    info->requested = vdev->msix_relo;
    info->relocated = s->plan.relocate;
    info->has_bar = s->plan.relocate;
    info->bar = s->plan.bar;
    info->vectors = s->layout.entries;
    info->reason = vfio_msix_reason(vdev);
    info->host_page_size = s->layout.host_page_size;
    info->mappable = s->layout.mappable;
    info->shared_accesses = s->shared_accesses;
    info_areas(info, vdev);
    info_traps(info, vdev);
    info_numa(info, vdev);
    return info;
}

static int query_add_device(Object *obj, void *opaque)
{
    VfioMsixInfoList ***tail = opaque;
    VFIOPCIDevice *vdev = (VFIOPCIDevice *)
        object_dynamic_cast(obj, TYPE_VFIO_PCI);

    if (vdev && DEVICE(vdev)->realized && vdev->msix_state) {
        QAPI_LIST_APPEND(*tail, query_device(vdev));
    }
    return 0;
}

VfioMsixInfoList *qmp_query_vfio_msix(Error **errp)
{
    VfioMsixInfoList *list = NULL;
    VfioMsixInfoList **tail = &list;

    object_child_foreach_recursive(object_get_root(), query_add_device, &tail);
    return list;
}
