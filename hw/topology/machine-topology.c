/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a machine was asked to tell the guest of its CPUs and caches
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/qdev-core.h"
#include "system/numa.h"
#include "machine-topology.h"
#include "topo-numa.h"
#include "topo-x86.h"

QEMU_BUILD_BUG_ON((int)TOPO_KINDS != (int)CACHE_LEVEL_AND_TYPE__MAX);
QEMU_BUILD_BUG_ON((int)TOPO_L1D != (int)CACHE_LEVEL_AND_TYPE_L1D);
QEMU_BUILD_BUG_ON((int)TOPO_L3 != (int)CACHE_LEVEL_AND_TYPE_L3);

MachineTopology *machine_topology(MachineState *ms)
{
    if (!ms->topology) {
        ms->topology = g_new0(MachineTopology, 1);
    }
    return ms->topology;
}

void machine_topology_free(MachineTopology *topology)
{
    if (topology) {
        topo_tree_free(topology->tree);
        g_free(topology);
    }
}

static const CpuTopologyLevel qapi_levels[] = {
    [TOPO_THREAD] = CPU_TOPOLOGY_LEVEL_THREAD,
    [TOPO_CORE] = CPU_TOPOLOGY_LEVEL_CORE,
    [TOPO_CLUSTER] = CPU_TOPOLOGY_LEVEL_CLUSTER,
    [TOPO_DIE] = CPU_TOPOLOGY_LEVEL_DIE,
    [TOPO_SOCKET] = CPU_TOPOLOGY_LEVEL_SOCKET,
    [TOPO_DEFAULT] = CPU_TOPOLOGY_LEVEL_DEFAULT,
};

TopoLevel topo_level_from_qapi(CpuTopologyLevel level)
{
    int found = TOPO_THREAD;

    if (level == CPU_TOPOLOGY_LEVEL_MODULE) {
        return TOPO_CLUSTER;
    }
    while (found < TOPO_DEFAULT && qapi_levels[found] != level) {
        found++;
    }
    return found;
}

CpuTopologyLevel topo_level_to_qapi(const MachineState *ms, TopoLevel level)
{
    return level == TOPO_CLUSTER &&
           MACHINE_GET_CLASS(ms)->smp_props.modules_supported
           ? CPU_TOPOLOGY_LEVEL_MODULE : qapi_levels[level];
}

#define SMP_LEVEL(LEVEL, counted, name)                             \
    { CPU_TOPOLOGY_LEVEL_ ## LEVEL, offsetof(CpuTopology, counted), \
      offsetof(CpuInstanceProperties, has_ ## name),                \
      offsetof(CpuInstanceProperties, name) }

const TopoSmpLevel topo_smp_levels[TOPO_SMP_LEVELS] = {
    SMP_LEVEL(DRAWER, drawers, drawer_id),
    SMP_LEVEL(BOOK, books, book_id),
    SMP_LEVEL(SOCKET, sockets, socket_id),
    SMP_LEVEL(DIE, dies, die_id),
    SMP_LEVEL(CLUSTER, clusters, cluster_id),
    SMP_LEVEL(MODULE, modules, module_id),
    SMP_LEVEL(CORE, cores, core_id),
    SMP_LEVEL(THREAD, threads, thread_id),
};

int64_t topo_smp_id(const CpuInstanceProperties *props,
                    const TopoSmpLevel *level)
{
    const char *base = (const char *)props;

    return *(const bool *)(base + level->has_id)
           ? *(const int64_t *)(base + level->id) : -1;
}

CpuTopologyLevel topo_level_to_user(const MachineState *ms, TopoLevel level)
{
    return level == TOPO_CLUSTER && ms->topology && ms->topology->clusters_given
           ? CPU_TOPOLOGY_LEVEL_CLUSTER : topo_level_to_qapi(ms, level);
}

bool machine_topology_alias_clusters(MachineState *ms,
                                     SMPConfiguration *config, Error **errp)
{
    MachineClass *mc = MACHINE_GET_CLASS(ms);
    MachineTopology *topology;
    g_autofree char *why = NULL;
    unsigned modules;

    if (!mc->smp_props.clusters_are_modules) {
        return true;
    }
    topology = machine_topology(ms);
    topology->modules_given = config->has_modules;
    topology->one_cluster = config->has_clusters && config->clusters == 1;
    /* Zero is for the generic code to refuse */
    if (!config->has_clusters || topology->one_cluster || !config->clusters ||
        (config->has_modules && !config->modules)) {
        return true;
    }
    if (config->clusters < 0 || config->clusters > INT_MAX) {
        error_setg(errp, "clusters (%" PRId64 ") of -smp must be within 1..%d",
                   config->clusters, INT_MAX);
        return false;
    }
    if (!topo_x86_modules(config->clusters,
                          config->has_modules ? config->modules : 0,
                          &modules, &why)) {
        error_setg(errp, "%s", why);
        return false;
    }
    topology->clusters_given = true;
    config->has_clusters = false;
    config->has_modules = true;
    config->modules = modules;
    /* The CPUs have to look at what L2 is by default */
    mc->smp_props.has_caches = true;
    return true;
}

/* "thread, core, cluster, socket": levels that a machine can have */
static char *supported_levels(const MachineClass *mc)
{
    return g_strdup_printf("thread, core, %s%ssocket",
                           mc->smp_props.clusters_supported ? "cluster, " : "",
                           mc->smp_props.dies_supported ? "die, " : "");
}

static bool check_supported(const MachineClass *mc,
                            const SmpCacheProperties *props, Error **errp)
{
    bool supported = props->topology != CPU_TOPOLOGY_LEVEL_MODULE ||
                     mc->smp_props.modules_supported;
    TopoLevel level = topo_level_from_qapi(props->topology);

    supported &= props->topology != CPU_TOPOLOGY_LEVEL_CLUSTER ||
                 mc->smp_props.clusters_supported;
    supported &= level != TOPO_DIE || mc->smp_props.dies_supported;
    supported &= level != TOPO_DEFAULT ||
                 props->topology == CPU_TOPOLOGY_LEVEL_DEFAULT;
    if (!supported) {
        g_autofree char *allowed = supported_levels(mc);

        error_setg(errp, "smp-cache: %s: topology=%s: this machine has no "
                   "such level; allowed: %s",
                   CacheLevelAndType_str(props->cache),
                   CpuTopologyLevel_str(props->topology), allowed);
    }
    return supported;
}

static bool check_cache(const MachineClass *mc, const TopoRequest *request,
                        const SmpCacheProperties *props, Error **errp)
{
    const char *name = props->has_size ? "size" :
                       props->has_line ? "line" :
                       props->has_ways ? "ways" : NULL;

    if (!mc->smp_props.caches_in_tables) {
        if (name) {
            error_setg(errp, "smp-cache: %s: %s is for the CPU model to say "
                       "on this machine; allowed: topology alone",
                       CacheLevelAndType_str(props->cache), name);
            return false;
        }
        return true;
    }
    if (request[props->cache].given) {
        error_setg(errp, "smp-cache: %s is given twice; allowed: one element "
                   "for each of l1d, l1i, l2 and l3",
                   CacheLevelAndType_str(props->cache));
        return false;
    }
    return check_supported(mc, props, errp);
}

/* What firmware was told is not to change under it */
static bool may_set(const char *name, Error **errp)
{
    if (phase_check(PHASE_MACHINE_INITIALIZED)) {
        error_setg(errp, "%s cannot be set any more; allowed: as an option of "
                   "-machine", name);
        return false;
    }
    return true;
}

/* The level "default" alone is what a machine has without being asked */
static bool asks_of_cache(const SmpCacheProperties *props)
{
    return props->topology != CPU_TOPOLOGY_LEVEL_DEFAULT || props->has_size ||
           props->has_line || props->has_ways;
}

bool machine_topology_set_caches(MachineState *ms,
                                 SmpCachePropertiesList *caches,
                                 Error **errp)
{
    const MachineClass *mc = MACHINE_GET_CLASS(ms);
    TopoRequest request[TOPO_KINDS] = { };
    bool given = false;

    if (mc->smp_props.caches_in_tables && !may_set("smp-cache", errp)) {
        return false;
    }
    for (SmpCachePropertiesList *i = caches; i; i = i->next) {
        SmpCacheProperties *props = i->value;

        if (!check_cache(mc, request, props, errp)) {
            return false;
        }
        given |= asks_of_cache(props);
        request[props->cache] = (TopoRequest) {
            .given = asks_of_cache(props),
            .level = topo_level_from_qapi(props->topology),
            .has_size = props->has_size, .size = props->size,
            .has_line = props->has_line, .line = props->line,
            .has_ways = props->has_ways, .ways = props->ways,
        };
        if (mc->smp_props.clusters_are_modules &&
            props->topology == CPU_TOPOLOGY_LEVEL_CLUSTER) {
            props->topology = CPU_TOPOLOGY_LEVEL_MODULE;
            request[props->cache].cluster_word = true;
        }
    }
    memcpy(machine_topology(ms)->request, request, sizeof(request));
    ms->topology->caches_given = given;
    return true;
}

void machine_topology_get_cache(MachineState *ms, SmpCacheProperties *props)
{
    static const TopoRequest none;
    const TopoRequest *request = ms->topology
                                 ? &ms->topology->request[props->cache]
                                 : &none;

    props->has_size = request->has_size;
    props->size = request->size;
    props->has_line = request->has_line;
    props->line = request->line;
    props->has_ways = request->has_ways;
    props->ways = request->ways;
}

TopoShape machine_topology_shape(const MachineState *ms)
{
    const MachineClass *mc = MACHINE_GET_CLASS(ms);
    const MachineTopology *topology = ms->topology;
    TopoShape shape = {
        .sockets = ms->smp.sockets,
        .dies = ms->smp.dies > 1 ? ms->smp.dies : 0,
        .cores = ms->smp.cores,
        .threads = ms->smp.threads,
        .cpus = ms->smp.cpus,
    };

    if (mc->smp_props.modules_supported) {
        bool given = topology && (topology->clusters_given ||
                                  topology->one_cluster ||
                                  topology->modules_given);

        shape.clusters = ms->smp.modules > 1 || given ? ms->smp.modules : 0;
        shape.dies = mc->smp_props.dies_supported ? ms->smp.dies : 0;
    } else if (mc->smp_props.clusters_supported &&
               mc->smp_props.has_clusters) {
        shape.clusters = ms->smp.clusters;
    }
    return shape;
}

int64_t machine_topology_numa_node(const MachineState *ms, unsigned cpu)
{
    TopoShape shape = machine_topology_shape(ms);
    unsigned nodes = ms->numa_state->num_nodes;

    if (!ms->topology || !ms->topology->numa_by_cluster) {
        return -1;
    }
    if (cpu == 0) {
        int empty = topo_numa_empty(&shape, nodes);

        if (empty >= 0) {
            warn_report("numa-by-cluster: nodes from %d on get no CPUs: %u "
                        "nodes are more than the %d clusters", empty, nodes,
                        empty);
        }
    }
    return topo_numa_node(&shape, nodes, cpu);
}

static bool get_numa_by_cluster(Object *obj, Error **errp)
{
    return machine_topology(MACHINE(obj))->numa_by_cluster;
}

static void set_numa_by_cluster(Object *obj, bool value, Error **errp)
{
    if (may_set("numa-by-cluster", errp)) {
        machine_topology(MACHINE(obj))->numa_by_cluster = value;
    }
}

void machine_topology_add_numa_property(ObjectClass *oc)
{
    object_class_property_add_bool(oc, "numa-by-cluster", get_numa_by_cluster,
                                   set_numa_by_cluster);
    object_class_property_set_description(oc, "numa-by-cluster",
        "with more NUMA nodes than sockets and no CPU given to a node, CPUs "
        "go there by cluster instead of by socket (default: off)");
}

static bool get_stable_ids(Object *obj, Error **errp)
{
    return machine_topology(MACHINE(obj))->stable_ids;
}

static void set_stable_ids(Object *obj, bool value, Error **errp)
{
    if (may_set("stable-topology-ids", errp)) {
        machine_topology(MACHINE(obj))->stable_ids = value;
    }
}

void machine_topology_add_ids_property(ObjectClass *oc)
{
    object_class_property_add_bool(oc, "stable-topology-ids", get_stable_ids,
                                   set_stable_ids);
    object_class_property_set_description(oc, "stable-topology-ids",
        "number packages, clusters and cores from 0 in ACPI, instead of by "
        "their place in a table (default: off)");
}
