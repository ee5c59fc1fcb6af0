/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NUMA nodes of PCI buses
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/config-file.h"
#include "qemu/cutils.h"
#include "qemu/option.h"
#include "hw/boards.h"
#include "hw/nearmetal/settings/set-option/set-option.h"
#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie_port.h"
#include "system/numa.h"
#include "numa-bus.h"
#include "numa-plan.h"

static PCIBus *root_of(PCIBus *bus)
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
    PCIBus *root = root_of(bus);
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

static int names_bus(void *opaque, QemuOpts *opts, Error **errp)
{
    return !g_strcmp0(qemu_opt_get(opts, "bus"), opaque);
}

static bool json_names_bus(const QDict *opts, void *opaque)
{
    return !g_strcmp0(qdict_get_try_str(opts, "bus"), opaque);
}

/* Does a -device that has not been looked at yet name the bus? */
static bool bus_awaited(PCIBus *bus)
{
    return qemu_opts_foreach(qemu_find_opts("device"), names_bus,
                             BUS(bus)->name, NULL) ||
           device_json_pending(json_names_bus, BUS(bus)->name);
}

static bool port_free(PCIBus *bus, void *opaque)
{
    return object_dynamic_cast(OBJECT(bus->parent_dev), TYPE_PCIE_SLOT) &&
           !bus->devices[0] && !bus_awaited(bus) &&
           (!phase_check(PHASE_MACHINE_READY) ||
            qbus_is_hotpluggable(BUS(bus)));
}

static PCIBus *find_below(PCIBus *bus, NumaBusTest *test, void *opaque)
{
    for (int i = 0; i < ARRAY_SIZE(bus->devices); i++) {
        PCIBus *below = bus_below(bus->devices[i]);
        PCIBus *found = NULL;

        if (below) {
            found = test(below, opaque) ? below :
                    find_below(below, test, opaque);
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
        found = find_below(main_root, test, opaque);
    }
    if (found) {
        return found;
    }
    QLIST_FOREACH(root, &main_root->child, sibling) {
        PCIBus *port = NULL;

        if (pci_bus_is_root(root) && !pci_bus_is_cxl(root) &&
            pci_bus_num(root) < number && numa_bus_node(root) == node) {
            port = find_below(root, test, opaque);
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

/* What is in use */

static bool json_has_id(const QDict *opts, void *opaque)
{
    return !g_strcmp0(qdict_get_try_str(opts, "id"), opaque);
}

/* Later options may not have been looked at yet */
static bool id_used(const char *id)
{
    Object *devices = machine_get_container("peripheral");

    return object_resolve_path_component(devices, id) ||
           qemu_opts_find(qemu_find_opts("device"), id) ||
           device_json_pending(json_has_id, (void *)id);
}

static void use_number(bool taken[256], unsigned number)
{
    if (number < 256) {
        taken[number] = true;
    }
}

/* Returns: the bus numbers that @bus needs, itself included */
static unsigned use_ports(NumaPlanUsed *used, PCIBus *bus)
{
    unsigned buses = 1;

    for (int i = 0; i < ARRAY_SIZE(bus->devices); i++) {
        PCIDevice *dev = bus->devices[i];
        PCIBus *below = bus_below(dev);

        if (below) {
            buses += use_ports(used, below);
        }
        if (dev && object_dynamic_cast(OBJECT(dev), TYPE_PCIE_SLOT)) {
            use_number(used->chassis, PCIE_SLOT(dev)->chassis);
            use_number(used->slot, PCIE_SLOT(dev)->slot);
        }
    }
    return buses;
}

static void use_root(NumaPlanUsed *used, unsigned number, unsigned buses)
{
    used->roots = g_renew(NumaPlanRoot, used->roots, used->root_count + 1);
    used->roots[used->root_count++] = (NumaPlanRoot) {
        .number = number, .buses = buses,
    };
}

static unsigned text_number(const char *text)
{
    unsigned number;

    return text && !qemu_strtoui(text, NULL, 0, &number) ? number : 0;
}

static unsigned json_number(const QDict *opts, const char *name)
{
    return qdict_get_try_int(opts, name,
                             text_number(qdict_get_try_str(opts, name)));
}

static void use_numbers(NumaPlanUsed *used, unsigned bus_nr, unsigned chassis,
                        unsigned slot)
{
    use_number(used->chassis, chassis);
    use_number(used->slot, slot);
    for (unsigned i = 0; i < used->root_count; i++) {
        if (used->roots[i].number == bus_nr) {
            return;
        }
    }
    use_root(used, bus_nr, 2);
}

static int use_option(void *opaque, QemuOpts *opts, Error **errp)
{
    use_numbers(opaque, text_number(qemu_opt_get(opts, "bus_nr")),
                text_number(qemu_opt_get(opts, "chassis")),
                text_number(qemu_opt_get(opts, "slot")));
    return 0;
}

static bool use_json(const QDict *opts, void *opaque)
{
    use_numbers(opaque, json_number(opts, "bus_nr"),
                json_number(opts, "chassis"), json_number(opts, "slot"));
    return false;
}

/* A pxb-pcie on the node, given as JSON, that is not there yet? */
static bool json_is_pxb(const QDict *opts, void *opaque)
{
    const char *id = qdict_get_try_str(opts, "id");

    return !g_strcmp0(qdict_get_try_str(opts, "driver"), "pxb-pcie") &&
           qdict_haskey(opts, "numa_node") &&
           json_number(opts, "numa_node") == *(unsigned *)opaque &&
           !(id && object_resolve_path_component(
                       machine_get_container("peripheral"), id));
}

/* A small ECAM window holds the configuration space of 16 buses only */
static unsigned bus_limit(void)
{
    Object *machine = OBJECT(current_machine);

    return object_property_find(machine, "highmem-ecam") &&
           !object_property_get_bool(machine, "highmem-ecam", NULL) ? 16 : 256;
}

static void find_used(NumaPlanUsed *used, PCIBus *main_root)
{
    PCIBus *root;

    use_root(used, 0, use_ports(used, main_root));
    QLIST_FOREACH(root, &main_root->child, sibling) {
        if (pci_bus_is_root(root)) {
            use_root(used, pci_bus_num(root), use_ports(used, root));
        }
    }
    qemu_opts_foreach(qemu_find_opts("device"), use_option, used, NULL);
    device_json_pending(use_json, used);
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

static char *remedy_options(PCIBus *main_root, int node)
{
    NumaPlanUsed used = { .id_used = id_used, .bus_limit = bus_limit() };
    unsigned wanted = node;
    bool hotplug = phase_check(PHASE_MACHINE_READY);
    g_autofree char *options = NULL;

    if (device_json_pending(json_is_pxb, &wanted)) {
        return g_strdup_printf("the pxb-pcie of node %d comes later: devices "
                               "given as key=value are created before those "
                               "given as JSON; give this one as JSON behind "
                               "its root port, or with bus=", node);
    }
    find_used(&used, main_root);
    options = numa_plan_options(&used, node, BUS(main_root)->name,
                                root_for_port(main_root, node));
    g_free(used.roots);
    if (!options) {
        return g_strdup_printf("no root port on node %d is free, nor is a bus "
                               "number or chassis for another one", node);
    }
    return g_strdup_printf("no %sroot port on node %d is free, %s: %s",
                           hotplug ? "hot-pluggable " : "", node,
                           hotplug ? "start the VM with" :
                           "add before the device", options);
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
    return remedy_options(main_root, node);
}
