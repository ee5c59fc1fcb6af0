/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU topology that x86 guests read from CPUID
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "system/system.h"
#include "machine-topology.h"
#include "topo-x86.h"
#include "x86-topology.h"

static bool check_clusters(const MachineState *ms, Error **errp)
{
    TopoShape shape = machine_topology_shape(ms);

    for (int kind = 0; kind < TOPO_KINDS && !shape.clusters; kind++) {
        if (ms->topology->request[kind].cluster_word) {
            error_setg(errp, "smp-cache: %s: topology=cluster: -smp has no "
                       "clusters; allowed: core, die, socket, or give "
                       "clusters=N to -smp", topo_kind_name(kind));
            return false;
        }
    }
    return true;
}

/* Level of a cache that smp-cache names, TOPO_DEFAULT: it does not */
static TopoLevel named_level(const MachineTopology *topology, TopoKind kind)
{
    const TopoRequest *request = &topology->request[kind];

    return request->given ? request->level : TOPO_DEFAULT;
}

/* topology=default asks for nothing */
static bool level_given(const MachineTopology *topology)
{
    for (TopoKind kind = 0; kind < TOPO_KINDS; kind++) {
        if (named_level(topology, kind) != TOPO_DEFAULT) {
            return true;
        }
    }
    return false;
}

/* When the CPUs are there: not all models tell guests what was asked for */
static void warn_untold(Notifier *notifier, void *data)
{
    const MachineTopology *topology = current_machine->topology;
    const char *why = topology_cpuid_untold();

    if (why && (level_given(topology) || topology->clusters_given)) {
        warn_report("%s: the guest does not see it: %s",
                    level_given(topology) ? "smp-cache" : "smp: clusters",
                    why);
    }
}

static void expect_warning(void)
{
    static Notifier notifier = { .notify = warn_untold };

    if (!notifier.node.le_prev) {
        qemu_add_machine_init_done_notifier(&notifier);
    }
}

bool x86_topology_default_l2(MachineState *ms, CpuTopologyLevel model,
                             Error **errp)
{
    const MachineTopology *topology = ms->topology;
    TopoLevel level, was = topo_level_from_qapi(model), l1d, l1i;

    if (!topology) {
        return true;
    }
    expect_warning();
    if (!check_clusters(ms, errp)) {
        return false;
    }
    if (!topology->clusters_given ||
        named_level(topology, TOPO_L2) != TOPO_DEFAULT) {
        return true;
    }
    l1d = named_level(topology, TOPO_L1D);
    l1i = named_level(topology, TOPO_L1I);
    level = topo_x86_l2_level(was,
                              l1d == TOPO_DEFAULT ? l1i :
                              l1i == TOPO_DEFAULT ? l1d : MAX(l1d, l1i),
                              named_level(topology, TOPO_L3));
    if (level != was) {
        machine_set_cache_topo_level(ms, CACHE_LEVEL_AND_TYPE_L2,
                                     topo_level_to_qapi(ms, level));
    }
    return true;
}

void x86_topology_cluster_id(const MachineState *ms,
                             CpuInstanceProperties *props)
{
    if (ms->topology && ms->topology->clusters_given) {
        props->has_cluster_id = true;
        props->cluster_id = props->module_id;
    }
}

/* For device_add with what query-hotpluggable-cpus tells */
void x86_topology_add_cluster_id(Object *cpu)
{
    if (current_machine && current_machine->topology &&
        current_machine->topology->clusters_given) {
        object_property_add_alias(cpu, "cluster-id", cpu, "module-id");
    }
}
