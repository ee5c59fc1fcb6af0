/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions of one device share a port
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Below a port of its own a function other than 0 would not be found: guests
 * look for function 0 first.
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie_port.h"
#include "hw/vfio/pci.h"
#include "host-folder.h"
#include "numa-bus.h"
#include "numa-function.h"
#include "numa-node.h"

unsigned numa_function_slot(const VFIOPCIDevice *vdev)
{
    return PCI_DEVICE(vdev)->devfn < 0 ? 0 : PCI_SLOT(PCI_DEVICE(vdev)->devfn);
}

unsigned numa_function_number(const VFIOPCIDevice *vdev)
{
    return PCI_DEVICE(vdev)->devfn < 0 ? 0 : PCI_FUNC(PCI_DEVICE(vdev)->devfn);
}

char *numa_function_no_slot(const VFIOPCIDevice *vdev)
{
    return g_strdup_printf("addr=%x.%x: below a root port there is slot 0 "
                           "only: leave out addr=, or give bus=",
                           numa_function_slot(vdev),
                           numa_function_number(vdev));
}

typedef struct Search {
    unsigned function;
    const char *slot;       /* of the host; NULL: not known */
    PCIBus *same;           /* function 0 is of the same device of the host */
    PCIBus *any;
    unsigned count;         /* of any */
} Search;

static bool of_slot(PCIDevice *dev, const char *slot)
{
    VFIOPCIDevice *vdev =
        (VFIOPCIDevice *)object_dynamic_cast(OBJECT(dev), TYPE_VFIO_PCI);
    g_autofree char *folder = vdev ? vfio_host_folder(vdev) : NULL;
    g_autofree char *its = folder ? host_folder_slot(folder) : NULL;

    return its && !g_strcmp0(its, slot);
}

/* Looks at all ports, and so never says that one is the last to be looked at */
static bool consider_port(PCIBus *bus, void *opaque)
{
    Search *s = opaque;
    PCIDevice *first = bus->devices[0];

    if (!object_dynamic_cast(OBJECT(bus->parent_dev), TYPE_PCIE_SLOT) ||
        !first || !(first->cap_present & QEMU_PCI_CAP_MULTIFUNCTION) ||
        bus->devices[PCI_DEVFN(0, s->function)]) {
        return false;
    }
    if (!s->same && of_slot(first, s->slot)) {
        s->same = bus;
    }
    s->any = bus;
    s->count++;
    return false;
}

PCIBus *numa_function_port(const VFIOPCIDevice *vdev, PCIBus *main_root,
                           int node, char **why)
{
    g_autofree char *folder = vfio_host_folder(vdev);
    g_autofree char *slot = folder ? host_folder_slot(folder) : NULL;
    Search s = { .function = numa_function_number(vdev), .slot = slot };

    if (phase_check(PHASE_MACHINE_READY)) {
        /* Function 0 is the last to be plugged, and makes the guest look */
        *why = g_strdup_printf("addr=0.%x: hot-plugged functions of a device "
                               "need bus=, and function 0 is the last",
                               s.function);
        return NULL;
    }
    numa_bus_find(main_root, node, consider_port, &s);
    if (s.same || s.count == 1) {
        return s.same ?: s.any;
    }
    *why = s.count ?
           g_strdup_printf("addr=0.%x: %u ports on node %d have a function 0 "
                           "with multifunction=on: name one by bus=",
                           s.function, s.count, node) :
           g_strdup_printf("addr=0.%x: no port on node %d has a function 0 "
                           "with multifunction=on that this function could "
                           "join: give function 0 before it, or give bus=",
                           s.function, node);
    return NULL;
}
