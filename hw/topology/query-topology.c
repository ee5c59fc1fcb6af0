/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-cpu-topology
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "hw/core/cpu.h"
#include "qapi/clone-visitor.h"
#include "qapi/qapi-commands-cpu-topology.h"
#include "qapi/qapi-visit-machine.h"
#include "machine-topology.h"

QEMU_BUILD_BUG_ON((int)TOPO_ORIGIN_DEFAULT != (int)CPU_CACHE_ORIGIN_DEFAULT);

static CpuTopologyCpu *cpu_info(const CPUArchId *cpu, int index)
{
    CpuTopologyCpu *info = g_new0(CpuTopologyCpu, 1);

    info->cpu_index = index;
    info->present = qemu_get_cpu(index) != NULL;
    info->props = QAPI_CLONE(CpuInstanceProperties, &cpu->props);
    return info;
}

/* Returns: NULL for a cache of CPUs that are not there */
static CpuTopologyCache *cache_info(const MachineState *ms,
                                    const TopoCache *cache)
{
    const TopoGeometry *g = &cache->geometry;
    CpuTopologyCache *info = g_new0(CpuTopologyCache, 1);
    intList **tail = &info->cpus;

    *info = (CpuTopologyCache) {
        .id = cache->id,
        .cache = (CacheLevelAndType)cache->kind,
        .topology = topo_level_to_user(ms, cache->level),
        .has_size = g->size > 0, .size = g->size,
        .has_line = g->line > 0, .line = g->line,
        .has_ways = g->ways > 0, .ways = g->ways,
        .origin = (CpuCacheOrigin)cache->origin,
    };
    for (unsigned i = 0; i < cache->count; i++) {
        if (qemu_get_cpu(cache->first + i)) {
            QAPI_LIST_APPEND(tail, cache->first + i);
        }
    }
    if (!info->cpus) {
        qapi_free_CpuTopologyCache(info);
        return NULL;
    }
    return info;
}

CpuTopologyInfo *qmp_query_cpu_topology(Error **errp)
{
    MachineState *ms = MACHINE(qdev_get_machine());
    MachineClass *mc = MACHINE_GET_CLASS(ms);
    g_autoptr(TopoTree) cpuid = NULL;
    const TopoTree *tree = ms->topology ? ms->topology->tree : NULL;
    CpuTopologyInfo *info = g_new0(CpuTopologyInfo, 1);
    CpuTopologyCpuList **cpu_tail = &info->cpus;
    CpuTopologyCacheList **cache_tail = &info->caches;
    const CPUArchIdList *cpus;

    if (!mc->possible_cpu_arch_ids) {
        return info;
    }
    if (!tree) {
        tree = cpuid = topology_cpuid_caches(ms);
    }
    cpus = mc->possible_cpu_arch_ids(ms);
    for (int i = 0; i < cpus->len; i++) {
        QAPI_LIST_APPEND(cpu_tail, cpu_info(&cpus->cpus[i], i));
    }
    for (unsigned i = 0; tree && i < tree->cache_count; i++) {
        CpuTopologyCache *cache = cache_info(ms, &tree->caches[i]);

        if (cache) {
            QAPI_LIST_APPEND(cache_tail, cache);
        }
    }
    return info;
}
