/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU topology in ACPI tables
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "hw/acpi/aml-build.h"
#include "hw/acpi/bios-linker-loader.h"
#include "machine-topology.h"
#include "topo-pptt.h"
#include "topology-acpi.h"

static const TopoTree *machine_tree(const MachineState *ms)
{
    return ms->topology ? ms->topology->tree : NULL;
}

bool topology_acpi_pptt(MachineState *ms, GArray *tables, BIOSLinker *linker,
                        const char *oem_id, const char *oem_table_id)
{
    const TopoTree *tree = machine_tree(ms);
    AcpiTable table = { .sig = "PPTT", .rev = TOPO_PPTT_REVISION,
                        .oem_id = oem_id, .oem_table_id = oem_table_id };
    g_autoptr(GByteArray) body = NULL;

    if (!tree) {
        return false;
    }
    body = topo_pptt(tree, ms->topology->stable_ids);
    acpi_table_begin(&table, tables);
    g_array_append_vals(tables, body->data, body->len);
    acpi_table_end(linker, &table);
    return true;
}

static Aml *cpu_device(const TopoNode *node)
{
    Aml *dev = aml_device("C%.03X", node->number);

    aml_append(dev, aml_name_decl("_HID", aml_string("ACPI0007")));
    aml_append(dev, aml_name_decl("_UID", aml_int(node->number)));
    return dev;
}

/* @index: of the node; then of the first one after all that are inside */
static Aml *node_device(const TopoTree *tree, unsigned *index)
{
    static const char letter[] = {
        [TOPO_CORE] = 'K', [TOPO_CLUSTER] = 'L', [TOPO_DIE] = 'D',
        [TOPO_SOCKET] = 'P',
    };
    const TopoNode *node = &tree->nodes[*index];
    int parent = (*index)++;
    Aml *dev;

    if (node->level == TOPO_THREAD) {
        return cpu_device(node);
    }
    dev = aml_device("%c%.03X", letter[node->level], node->number);
    aml_append(dev, aml_name_decl("_HID", aml_string("ACPI0010")));
    aml_append(dev, aml_name_decl("_UID",
                                  aml_int(topo_container_uid(node))));
    while (*index < tree->node_count && tree->nodes[*index].parent == parent) {
        aml_append(dev, node_device(tree, index));
    }
    return dev;
}

bool topology_acpi_dsdt(MachineState *ms, Aml *scope)
{
    const TopoTree *tree = machine_tree(ms);

    if (!tree || !ms->topology->stable_ids) {
        return false;
    }
    for (unsigned index = 0; index < tree->node_count; ) {
        aml_append(scope, node_device(tree, &index));
    }
    return true;
}

int topology_acpi_cpus(const MachineState *ms, int possible)
{
    return machine_tree(ms) ? ms->smp.cpus : possible;
}
