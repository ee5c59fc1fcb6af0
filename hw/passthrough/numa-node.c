/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-pci's property numa-node: put a device on a NUMA node of the guest
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "hw/boards.h"
#include "hw/pci/pci_bus.h"
#include "hw/vfio/pci.h"
#include "system/hostmem.h"
#include "system/system.h"
#include "host-folder.h"
#include "numa-bus.h"
#include "numa-function.h"
#include "numa-node.h"
#include "numa-plan.h"
#include "own-value.h"

/* The property */

static void numa_node_get(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    int32_t *request = object_field_prop_ptr(obj, opaque);
    g_autofree char *word = numa_plan_word(*request);

    if (*request >= 0) {
        visit_type_int32(v, name, request, errp);
    } else {
        visit_type_str(v, name, &word, errp);
    }
}

/* Returns: the value in words, to be freed; NULL if it cannot be shown */
static char *numa_node_visit(Visitor *v, const char *name, QType type,
                             int *request, bool *valid)
{
    char *text = NULL;
    int64_t number;

    *valid = false;
    if (type == QTYPE_QSTRING && visit_type_str(v, name, &text, NULL)) {
        *valid = numa_plan_parse(text, request);
        return text;
    }
    if (type == QTYPE_QNUM && visit_type_int64(v, name, &number, NULL)) {
        *valid = numa_plan_number(number, request);
        return g_strdup_printf("%" PRId64, number);
    }
    return NULL;
}

static void numa_node_set(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    g_autofree GenericAlternate *alt = NULL;
    g_autofree char *value = NULL;
    bool valid;
    int request;

    if (!visit_start_alternate(v, name, &alt, sizeof(*alt), errp)) {
        return;
    }
    value = numa_node_visit(v, name, alt->type, &request, &valid);
    if (valid) {
        *(int32_t *)object_field_prop_ptr(obj, opaque) = request;
        VFIO_PCI_DEVICE(obj)->numa_node_own = vfio_value_is_own(obj);
    } else {
        error_setg(errp, "Parameter '%s' expects off, auto or a NUMA node of "
                   "the guest, 0 to %d%s%s", name, NUMA_PLAN_MAX_NODES - 1,
                   value ? ", not " : "", value ?: "");
    }
    visit_end_alternate(v, (void **)&alt);
}

static void numa_node_set_default(ObjectProperty *op, const Property *prop)
{
    object_property_set_default_str(op, "off");
}

const PropertyInfo vfio_numa_node_prop = {
    .type = "str",
    .description = "NUMA node of the guest to be on: a number, auto (the one "
                   "whose memory is on the host device's node) or off",
    .get = numa_node_get,
    .set = numa_node_set,
    .set_default_value = numa_node_set_default,
};

/* Which node */

static int read_host_node(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *text = NULL;
    int node;

    if (!g_file_get_contents(path, &text, NULL, NULL) ||
        qemu_strtoi(g_strstrip(text), NULL, 10, &node)) {
        return -1;
    }
    return node;
}

char *vfio_host_folder(const VFIOPCIDevice *vdev)
{
    const PCIHostDeviceAddress *host = &vdev->host;

    if (vdev->vbasedev.sysfsdev) {
        return g_strdup(vdev->vbasedev.sysfsdev);
    }
    if (vdev->vbasedev.fd >= 0) {
        return host_folder_of_fd("/sys", vdev->vbasedev.fd);
    }
    return g_strdup_printf("/sys/bus/pci/devices/%04x:%02x:%02x.%01x",
                           host->domain, host->bus, host->slot,
                           host->function);
}

static int numa_host_node(VFIOPCIDevice *vdev)
{
    g_autofree char *folder = vfio_host_folder(vdev);
    int node;

    if (!folder) {
        return -1;
    }
    node = read_host_node(folder, "numa_node");
    /* A mediated device is a folder in that of the device that it is of */
    return node >= 0 ? node : read_host_node(folder, "../numa_node");
}

static NumaPlanMemory node_memory(const HostMemoryBackend *backend)
{
    if (!backend) {
        return (NumaPlanMemory) {};
    }
    return (NumaPlanMemory) {
        .bound = backend->policy == HOST_MEM_POLICY_BIND ||
                 backend->policy == HOST_MEM_POLICY_PREFERRED,
        .host_nodes = backend->host_nodes,
    };
}

/*
 * A number given for this device is an order.  One given for all devices is a
 * wish, which some of them may not be able to have, as what auto finds.
 */
static bool numa_is_order(const VFIOPCIDevice *vdev)
{
    return vdev->numa_node >= 0 && vdev->numa_node_own;
}

static int no_such_node(int nodes, char **why)
{
    *why = nodes ? g_strdup_printf("the guest has NUMA nodes 0 to %d",
                                   nodes - 1) :
           g_strdup("the guest has no NUMA nodes");
    return -1;
}

int vfio_numa_wanted(VFIOPCIDevice *vdev, char **why)
{
    const NumaState *numa = current_machine->numa_state;
    NumaPlanMemory memory[MAX_NODES];
    int nodes = numa ? numa->num_nodes : 0;

    QEMU_BUILD_BUG_ON(MAX_NODES != NUMA_PLAN_MAX_NODES);
    if (vdev->numa_node != NUMA_PLAN_AUTO) {
        return numa_is_order(vdev) || vdev->numa_node < nodes ?
               vdev->numa_node : no_such_node(nodes, why);
    }
    for (int i = 0; i < nodes; i++) {
        memory[i] = node_memory(numa->nodes[i].node_memdev);
    }
    return numa_plan_map(memory, nodes, numa_host_node(vdev), why);
}

static bool numa_check_range(int node, Error **errp)
{
    const NumaState *numa = current_machine->numa_state;

    if (!numa || !numa->num_nodes) {
        error_setg(errp, "numa-node=%d: the guest has no NUMA nodes, add them "
                   "with -numa node,...", node);
        return false;
    }
    if (node >= numa->num_nodes) {
        error_setg(errp, "numa-node=%d is out of range: the guest has NUMA "
                   "nodes 0 to %d", node, numa->num_nodes - 1);
        return false;
    }
    return true;
}

/* Devices on a host bridge whose node they choose together */

typedef struct Voters {
    const VFIOPCIDevice *self;  /* to be counted already */
    const PCIBus *root;
    GArray *votes;              /* of NumaPlanVote */
    const VFIOPCIDevice *other; /* given another number than @self */
} Voters;

static int add_vote(Object *obj, void *opaque)
{
    Voters *voters = opaque;
    VFIOPCIDevice *vdev =
        (VFIOPCIDevice *)object_dynamic_cast(obj, TYPE_VFIO_PCI);
    g_autofree char *why = NULL;
    NumaPlanVote vote;

    if (!vdev || (!DEVICE(vdev)->realized && vdev != voters->self) ||
        pci_device_root_bus(PCI_DEVICE(vdev)) != voters->root) {
        return 0;
    }
    vote.node = vfio_numa_wanted(vdev, &why);
    vote.firm = numa_is_order(vdev);
    g_array_append_val(voters->votes, vote);
    if (vote.firm && vote.node != voters->self->numa_node) {
        voters->other = vdev;
    }
    return 0;
}

/* Returns: the node that @vdev and all devices before it agree on, or -1 */
static int common_node(const VFIOPCIDevice *vdev, const VFIOPCIDevice **other)
{
    g_autoptr(GArray) votes = g_array_new(false, false, sizeof(NumaPlanVote));
    Voters voters = {
        .self = vdev,
        .root = pci_device_root_bus(PCI_DEVICE(vdev)),
        .votes = votes,
    };

    object_child_foreach_recursive(object_get_root(), add_vote, &voters);
    if (other) {
        *other = voters.other;
    }
    return numa_plan_agree((NumaPlanVote *)votes->data, votes->len);
}

static bool check_common(VFIOPCIDevice *vdev, PCIBus *root, Error **errp)
{
    g_autofree char *node = numa_bus_node_text(root);
    const VFIOPCIDevice *other;

    if (phase_check(PHASE_MACHINE_READY)) {
        if (numa_bus_node(root) == vdev->numa_node) {
            return true;
        }
        error_setg(errp, "numa-node=%d: bus '%s' is on %s; without ACPI, that "
                   "is decided when the VM is started", vdev->numa_node,
                   BUS(root)->name, node);
        return false;
    }
    common_node(vdev, &other);
    if (other) {
        error_setg(errp, "numa-node=%d: without ACPI, all devices are on the "
                   "node of bus '%s', and device '%s' has numa-node=%d",
                   vdev->numa_node, BUS(root)->name,
                   DEVICE(other)->id ?: other->vbasedev.name,
                   other->numa_node);
        return false;
    }
    return true;
}

/* What to do about it */

int vfio_numa_actual(VFIOPCIDevice *vdev)
{
    return numa_bus_node(pci_get_bus(PCI_DEVICE(vdev)));
}

/*
 * Returns: the bus for the device, which may be NULL without @errp set: then
 * vfio_numa_realized() will warn
 */
static PCIBus *numa_choose_port(VFIOPCIDevice *vdev, PCIBus *main_root,
                                int node, Error **errp)
{
    g_autofree char *word = numa_plan_word(vdev->numa_node);
    g_autofree char *why = NULL;
    PCIBus *port;

    if (numa_function_slot(vdev)) {
        why = numa_function_no_slot(vdev);
    } else if (numa_function_number(vdev)) {
        port = numa_function_port(vdev, main_root, node, &why);
        if (port) {
            return port;
        }
        error_setg(errp, "numa-node=%s: %s", word, why);
        return NULL;
    } else {
        port = numa_bus_find_port(main_root, node);
        if (port) {
            return port;
        }
        why = numa_bus_remedy(main_root, node);
    }
    /*
     * Where there are ports no other bus takes a hotplug, so that nothing is
     * lost by refusing; what was said for all devices refuses none
     */
    if (numa_is_order(vdev) ||
        (phase_check(PHASE_MACHINE_READY) && vdev->numa_node_own)) {
        error_setg(errp, "numa-node=%s: %s", word, why);
    }
    return NULL;
}

static bool numa_choose_bus(DeviceState *dev, BusState **bus, Error **errp)
{
    ERRP_GUARD();
    VFIOPCIDevice *vdev = VFIO_PCI_DEVICE(dev);
    PCIBus *main_root = numa_bus_main_root(PCI_BUS(*bus)), *port;
    g_autofree char *why = NULL;
    int node = vfio_numa_wanted(vdev, &why);

    if (vdev->numa_node == NUMA_PLAN_OFF) {
        return true;
    }
    if (numa_is_order(vdev) && !numa_check_range(node, errp)) {
        return false;
    }
    /* The default may be a pxb-pcie, which takes nothing but ports */
    *bus = BUS(main_root);
    if (numa_bus_settable(main_root) && !phase_check(PHASE_MACHINE_READY)) {
        return true;
    }
    port = node >= 0 ? numa_choose_port(vdev, main_root, node, errp) : NULL;
    if (port) {
        *bus = BUS(port);
    }
    return !*errp;
}

bool vfio_numa_check(VFIOPCIDevice *vdev, Error **errp)
{
    PCIBus *bus = pci_get_bus(PCI_DEVICE(vdev));
    PCIBus *main_root = numa_bus_main_root(bus);
    g_autofree char *on = numa_bus_node_text(bus);
    g_autofree char *remedy = NULL;

    if (!numa_is_order(vdev)) {
        return true;
    }
    if (!numa_check_range(vdev->numa_node, errp)) {
        return false;
    }
    if (numa_bus_settable(pci_device_root_bus(PCI_DEVICE(vdev)))) {
        return check_common(vdev, main_root, errp);
    }
    if (vfio_numa_actual(vdev) == vdev->numa_node) {
        return true;
    }
    remedy = numa_bus_remedy(main_root, vdev->numa_node);
    error_setg(errp, "numa-node=%d: bus '%s' is on %s, not on node %d: %s",
               vdev->numa_node, BUS(bus)->name, on, vdev->numa_node, remedy);
    return false;
}

/* Warn if the device is not where it belongs, and nobody ordered it to be */
static void check_auto(VFIOPCIDevice *vdev)
{
    PCIBus *bus = pci_get_bus(PCI_DEVICE(vdev));
    g_autofree char *word = numa_plan_word(vdev->numa_node);
    g_autofree char *on = numa_bus_node_text(bus);
    g_autofree char *why = NULL, *remedy = NULL;
    int node;

    if (vdev->numa_node == NUMA_PLAN_OFF || numa_is_order(vdev)) {
        return;
    }
    node = vfio_numa_wanted(vdev, &why);
    if (node < 0) {
        warn_report(VFIO_MSG_PREFIX "numa-node=%s: %s; the guest sees the "
                    "device on %s", vdev->vbasedev.name, word, why, on);
    } else if (node != vfio_numa_actual(vdev)) {
        remedy = numa_bus_remedy(numa_bus_main_root(bus), node);
        /* Given or not, the slot is that of a bus that is not below a port */
        warn_report(VFIO_MSG_PREFIX "numa-node=%s: the device belongs on "
                    "node %d, but the guest sees it on %s, that of bus '%s': "
                    "%s%s", vdev->vbasedev.name, word, node, on,
                    BUS(bus)->name, remedy,
                    numa_function_slot(vdev) &&
                    g_str_has_suffix(remedy, "leave out bus=") ?
                    " and addr=" : "");
    }
}

static int check_auto_cb(Object *obj, void *opaque)
{
    VFIOPCIDevice *vdev =
        (VFIOPCIDevice *)object_dynamic_cast(obj, TYPE_VFIO_PCI);

    if (vdev && DEVICE(vdev)->realized &&
        numa_bus_settable(pci_device_root_bus(PCI_DEVICE(vdev)))) {
        check_auto(vdev);
    }
    return 0;
}

/* All devices are there, and the node is final */
static void check_all_auto(Notifier *notifier, void *data)
{
    object_child_foreach_recursive(object_get_root(), check_auto_cb, NULL);
}

void vfio_numa_realized(VFIOPCIDevice *vdev)
{
    static Notifier machine_done = { .notify = check_all_auto };
    PCIBus *root = pci_device_root_bus(PCI_DEVICE(vdev));

    if (vdev->numa_node == NUMA_PLAN_OFF) {
        return;
    }
    if (!numa_bus_settable(root) || phase_check(PHASE_MACHINE_READY)) {
        check_auto(vdev);
        return;
    }
    numa_bus_set_node(root, common_node(vdev, NULL));
    if (!machine_done.node.le_prev) {
        qemu_add_machine_init_done_notifier(&machine_done);
    }
}

static void numa_actual_get(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    int64_t node = -1;

    if (DEVICE(obj)->parent_bus) {
        node = vfio_numa_actual(VFIO_PCI_DEVICE(obj));
    }
    visit_type_int(v, name, &node, errp);
}

void vfio_numa_class_init(DeviceClass *dc)
{
    ObjectClass *oc = OBJECT_CLASS(dc);

    dc->choose_bus = numa_choose_bus;
    object_class_property_add(oc, "numa-node-actual", "int", numa_actual_get,
                              NULL, NULL, NULL);
    object_class_property_set_description(oc, "numa-node-actual",
        "NUMA node that the guest sees the device on, -1: none (read-only)");
}
