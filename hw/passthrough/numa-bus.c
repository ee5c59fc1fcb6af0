/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NUMA nodes of PCI buses
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/config-file.h"
#include "qemu/option.h"
#include "hw/boards.h"
#include "hw/nearmetal/settings/set-option/set-option.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie_port.h"
#include "system/numa.h"
#include "numa-bus.h"

static PCIBus *root_of_bus(PCIBus *bus)
{
    while (!pci_bus_is_root(bus)) {
        bus = pci_get_bus(bus->parent_dev);
    }
    return bus;
}

PCIBus *numa_bus_main_root(PCIBus *bus)
{
    while (bus->parent_dev) {
        bus = pci_get_bus(bus->parent_dev);
    }
    return bus;
}

bool numa_bus_settable(const PCIBus *root)
{
    return root->flags & PCI_BUS_SETTABLE_NUMA_NODE;
}

void numa_bus_set_node(PCIBus *root, int node)
{
    root->numa_node = node < 0 ? NUMA_NODE_UNASSIGNED : node;
}

/* -machine acpi=off: does the guest get no ACPI tables? */
static bool acpi_off(void)
{
    g_autofree char *value =
        object_property_get_str(OBJECT(current_machine), "acpi", NULL);

    return value && g_str_equal(value, "off");
}

/* Without ACPI, the node is that of the main root bus or there is none */
static bool node_hidden(PCIBus *root)
{
    return !numa_bus_settable(root) &&
           (numa_bus_settable(numa_bus_main_root(root)) || acpi_off());
}

int numa_bus_node(PCIBus *bus)
{
    PCIBus *root = root_of_bus(bus);
    int node = pci_bus_numa_node(root);

    return node == NUMA_NODE_UNASSIGNED || node_hidden(root) ? -1 : node;
}

char *numa_bus_node_text(PCIBus *bus)
{
    int node = numa_bus_node(bus);

    return node < 0 ? g_strdup("no node") : g_strdup_printf("node %d", node);
}

static PCIBus *bus_below(PCIDevice *dev)
{
    return dev && object_dynamic_cast(OBJECT(dev), TYPE_PCI_BRIDGE) ?
           pci_bridge_get_sec_bus(PCI_BRIDGE(dev)) : NULL;
}

static int opts_name_bus(void *opaque, QemuOpts *opts, Error **errp)
{
    return !g_strcmp0(qemu_opt_get(opts, "bus"), opaque);
}

typedef struct JsonOption {
    const char *name;
    const char *value;
} JsonOption;

static bool json_has_option(const QDict *opts, void *opaque)
{
    const JsonOption *option = opaque;

    return !g_strcmp0(qdict_get_try_str(opts, option->name), option->value);
}

/* Does a -device that has not been looked at yet name the bus? */
static bool bus_awaited(PCIBus *bus)
{
    JsonOption option = { "bus", BUS(bus)->name };

    return qemu_opts_foreach(qemu_find_opts("device"), opts_name_bus,
                             BUS(bus)->name, NULL) ||
           device_json_pending(json_has_option, &option);
}

static bool port_free(PCIBus *bus, void *opaque)
{
    return object_dynamic_cast(OBJECT(bus->parent_dev), TYPE_PCIE_SLOT) &&
           !bus->devices[0] && !bus_awaited(bus) &&
           (!phase_check(PHASE_MACHINE_READY) ||
            qbus_is_hotpluggable(BUS(bus)));
}

static PCIBus *find_port_below(PCIBus *bus, NumaBusTest *test, void *opaque)
{
    for (int i = 0; i < ARRAY_SIZE(bus->devices); i++) {
        PCIBus *below = bus_below(bus->devices[i]);
        PCIBus *found = NULL;

        if (below) {
            found = test(below, opaque) ? below :
                    find_port_below(below, test, opaque);
        }
        if (found) {
            return found;
        }
    }
    return NULL;
}

PCIBus *numa_bus_find(PCIBus *main_root, int node, NumaBusTest *test,
                      void *opaque)
{
    PCIBus *found = NULL, *root;
    int number = 256;

    if (numa_bus_node(main_root) == node) {
        found = find_port_below(main_root, test, opaque);
    }
    if (found) {
        return found;
    }
    QLIST_FOREACH(root, &main_root->child, sibling) {
        PCIBus *port = NULL;

        if (pci_bus_is_root(root) && !pci_bus_is_cxl(root) &&
            pci_bus_num(root) < number && numa_bus_node(root) == node) {
            port = find_port_below(root, test, opaque);
        }
        if (port) {
            number = pci_bus_num(root);
            found = port;
        }
    }
    return found;
}

PCIBus *numa_bus_find_port(PCIBus *main_root, int node)
{
    return numa_bus_find(main_root, node, port_free, NULL);
}

/* What to add */

static bool device_exists(const char *id)
{
    return object_resolve_path_component(machine_get_container("peripheral"),
                                         id);
}

/* Later options may not have been looked at yet */
static char *free_id(const char *prefix, int n)
{
    for (;; n++) {
        g_autofree char *id = g_strdup_printf("%s%d", prefix, n);
        JsonOption option = { "id", id };

        if (!device_exists(id) && !qemu_opts_find(qemu_find_opts("device"), id)
            && !device_json_pending(json_has_option, &option)) {
            return g_steal_pointer(&id);
        }
    }
}

/*
 * The middle of the largest gap between root buses: it leaves the most to ports
 * below this one and the one before it
 *
 * Returns: a number; -1 if there is no such gap
 */
static int free_bus_number(PCIBus *main_root)
{
    Object *machine = OBJECT(current_machine);
    /* A small ECAM window holds the configuration space of 16 buses only */
    int end = object_property_find(machine, "highmem-ecam") &&
              !object_property_get_bool(machine, "highmem-ecam", NULL) ?
              16 : 256;
    int last = 0, gap = 3, number = -1;
    bool taken[256] = {};
    PCIBus *root;

    QLIST_FOREACH(root, &main_root->child, sibling) {
        taken[pci_bus_num(root)] |= pci_bus_is_root(root);
    }
    for (int n = 1; n <= end; n++) {
        if (n == end || taken[n]) {
            if (n - last > gap) {
                gap = n - last;
                number = last + gap / 2;
            }
            last = n;
        }
    }
    return number;
}

static int largest_chassis(Object *obj, void *opaque)
{
    PCIESlot *port = (PCIESlot *)object_dynamic_cast(obj, TYPE_PCIE_SLOT);
    uint8_t *largest = opaque;

    if (port) {
        *largest = MAX(*largest, port->chassis);
    }
    return 0;
}

/* The root bus on @node that another port can be put on, NULL if none */
static const char *root_for_port(PCIBus *main_root, int node)
{
    const char *name = NULL;
    PCIBus *root;

    if (numa_bus_node(main_root) == node) {
        return BUS(main_root)->name;
    }
    QLIST_FOREACH(root, &main_root->child, sibling) {
        if (pci_bus_is_root(root) && pci_bus_is_express(root) &&
            !pci_bus_is_cxl(root) && numa_bus_node(root) == node) {
            name = BUS(root)->name;
        }
    }
    return name;
}

/* Options for a free root port; numbers are those that no device has so far */
static char *port_options(PCIBus *main_root, int node)
{
    const char *root = root_for_port(main_root, node);
    g_autofree char *pxb = root ? g_strdup(root) : free_id("pxb", node);
    g_autofree char *port = free_id("rp", node);
    g_autofree char *bridge = NULL;
    int bus_number = free_bus_number(main_root);
    uint8_t chassis = 0;

    object_child_foreach_recursive(object_get_root(), largest_chassis,
                                   &chassis);
    if ((!root && bus_number < 0) || chassis == UINT8_MAX) {
        return NULL;
    }
    if (!root) {
        bridge = g_strdup_printf("-device pxb-pcie,id=%s,bus=%s,bus_nr=%d,"
                                 "numa_node=%d ", pxb, BUS(main_root)->name,
                                 bus_number, node);
    }
    return g_strdup_printf("%s-device pcie-root-port,id=%s,bus=%s,"
                           "chassis=%u,slot=%u", bridge ?: "", port, pxb,
                           chassis + 1, chassis + 1);
}

/* A pxb-pcie, given as JSON, that is not there yet? */
static bool json_is_later_pxb(const QDict *opts, void *opaque)
{
    const char *id = qdict_get_try_str(opts, "id");

    return !g_strcmp0(qdict_get_try_str(opts, "driver"), "pxb-pcie") &&
           !(id && device_exists(id));
}

static char *port_remedy(PCIBus *main_root, int node)
{
    bool hotplug = phase_check(PHASE_MACHINE_READY);
    g_autofree char *options = port_options(main_root, node);

    if (!options) {
        return g_strdup_printf("no root port on node %d is free, nor is a bus "
                               "number or chassis for another one", node);
    }
    return g_strdup_printf("no %sroot port on node %d is free, %s: %s%s",
                           hotplug ? "hot-pluggable " : "", node,
                           hotplug ? "start the VM with" :
                           "add before the device", options,
                           device_json_pending(json_is_later_pxb, NULL) ?
                           " (a pxb-pcie given as JSON comes later than "
                           "devices given as key=value)" : "");
}

char *numa_bus_remedy(PCIBus *main_root, int node)
{
    bool hotplug = phase_check(PHASE_MACHINE_READY);
    const char *name = BUS(main_root)->name;
    PCIBus *port;

    if (numa_bus_settable(main_root)) {
        if (!hotplug) {
            return g_strdup_printf("without ACPI, the guest knows the node of "
                                   "bus '%s' only: leave out bus=, or use one "
                                   "on it", name);
        }
        if (numa_bus_node(main_root) != node) {
            return g_strdup_printf("without ACPI, all devices are on the node "
                                   "of bus '%s', which is decided when the VM "
                                   "is started", name);
        }
    } else if (acpi_off()) {
        return g_strdup("with acpi=off, the guest does not learn nodes");
    }
    if (!pci_bus_is_express(main_root)) {
        return g_strdup("it takes a machine with PCI Express, or bus= below a "
                        "pxb of that node");
    }
    port = numa_bus_find_port(main_root, node);
    if (port) {
        return g_strdup_printf("use bus=%s, or leave out bus=",
                               BUS(port)->name);
    }
    return port_remedy(main_root, node);
}
