/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a machine was asked to tell the guest of its CPUs and caches
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * All of it runs in the main thread, with the BQL held.  Nothing changes once
 * the machine is initialized.
 */

#ifndef NEARMETAL_MACHINE_TOPOLOGY_H
#define NEARMETAL_MACHINE_TOPOLOGY_H

#include "hw/boards.h"
#include "qapi/qapi-types-machine.h"
#include "topo-plan.h"

typedef struct MachineTopology {
    TopoRequest request[TOPO_KINDS];    /* property smp-cache */
    bool caches_given;
    bool clusters_given;                /* clusters= where it means modules */
    bool one_cluster;                   /* clusters=1 there */
    bool modules_given;
    bool stable_ids;
    bool numa_by_cluster;
    TopoTree *tree;         /* what firmware tables say; NULL: as ever */
} MachineTopology;

/* A level of -smp, and where CPUs say which part of it they are in */
typedef struct TopoSmpLevel {
    CpuTopologyLevel level;
    size_t count;           /* in CpuTopology */
    size_t has_id, id;      /* in CpuInstanceProperties */
} TopoSmpLevel;

/* From wide to narrow; the last one is the thread */
#define TOPO_SMP_LEVELS 8
extern const TopoSmpLevel topo_smp_levels[TOPO_SMP_LEVELS];

/* topo_smp_id: of the part of @level; -1: CPUs have no such ID */
int64_t topo_smp_id(const CpuInstanceProperties *props,
                    const TopoSmpLevel *level);

/* The machine's; made when it is asked for the first time */
MachineTopology *machine_topology(MachineState *ms);
void machine_topology_free(MachineTopology *topology);

/**
 * machine_topology_alias_clusters: clusters= as modules=
 * @config: changed so that it has modules alone
 *
 * clusters=1 asks for nothing, as ever: management says it to all machines.
 * Just for machines whose class has smp_props.clusters_are_modules.
 */
bool machine_topology_alias_clusters(MachineState *ms,
                                     SMPConfiguration *config, Error **errp);

/**
 * machine_topology_set_caches: take note of the property smp-cache
 * @caches: changed where a name means something else on this machine
 *
 * What the generic code checks as well is not checked here.
 */
bool machine_topology_set_caches(MachineState *ms,
                                 SmpCachePropertiesList *caches,
                                 Error **errp);

/* The optional members of an element of smp-cache */
void machine_topology_get_cache(MachineState *ms, SmpCacheProperties *props);

/* The shape that -smp gave; a cluster is whatever is between core and die */
TopoShape machine_topology_shape(const MachineState *ms);

/**
 * machine_topology_numa_node: the node of a CPU that was given to none
 *
 * Returns: -1 if the machine was not asked to decide by cluster
 */
int64_t machine_topology_numa_node(const MachineState *ms, unsigned cpu);

/* Properties of machine classes */
void machine_topology_add_numa_property(ObjectClass *oc);
void machine_topology_add_ids_property(ObjectClass *oc);

TopoLevel topo_level_from_qapi(CpuTopologyLevel level);
CpuTopologyLevel topo_level_to_qapi(const MachineState *ms, TopoLevel level);

/* The same in the word that the user has for it: modules may be clusters */
CpuTopologyLevel topo_level_to_user(const MachineState *ms, TopoLevel level);

/**
 * topology_cpuid_caches: what the CPUs themselves tell of caches
 *
 * Returns: a tree for all possible CPUs, to be freed; NULL: they tell nothing,
 * or what the host has
 */
TopoTree *topology_cpuid_caches(MachineState *ms);

/**
 * topology_cpuid_untold: why guests do not learn from the CPUs who shares the
 * caches, as this VM has them
 *
 * Returns: NULL if they do, or if it is not the CPUs that tell
 */
const char *topology_cpuid_untold(void);

/*
 * "cluster" where the user calls modules so, else "module".  Inline, as the
 * test of -smp has none of this.
 */
static inline const char *machine_topology_module(const MachineState *ms)
{
    return ms->topology && ms->topology->clusters_given ? "cluster" : "module";
}

#endif
