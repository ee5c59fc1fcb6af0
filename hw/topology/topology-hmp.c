/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * info cpu-topology
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-cpu-topology.h"
#include "machine-topology.h"

/* Threads are CPUs here */
#define SHOWN_LEVELS (TOPO_SMP_LEVELS - 1)

/* -1: CPUs have no such ID, or have it by another name */
static int64_t level_id(const CpuInstanceProperties *props, unsigned n)
{
    const TopoSmpLevel *level = &topo_smp_levels[n];

    return level->level == CPU_TOPOLOGY_LEVEL_MODULE && props->has_cluster_id
           ? -1 : topo_smp_id(props, level);
}

/* Where a cache is shown: its level, or the next wider one that CPUs tell */
static CpuTopologyLevel shown_level(const CpuInstanceProperties *props,
                                    CpuTopologyLevel level)
{
    int n = SHOWN_LEVELS - 1;

    if (level == CPU_TOPOLOGY_LEVEL_THREAD) {
        return level;
    }
    while (n > 0 && topo_smp_levels[n].level != level) {
        n--;
    }
    while (n > 0 && level_id(props, n) < 0) {
        n--;
    }
    return topo_smp_levels[n].level;
}

/* The caches that are shown at @level, of CPUs from @first to before @end */
static void print_caches(Monitor *mon, const CpuTopologyInfo *info,
                         const CpuInstanceProperties *props,
                         CpuTopologyLevel level, int64_t first, int64_t end)
{
    const char *separator = "  ";

    for (CpuTopologyCacheList *i = info->caches; i; i = i->next) {
        const CpuTopologyCache *cache = i->value;

        if (shown_level(props, cache->topology) != level ||
            cache->cpus->value < first || cache->cpus->value >= end) {
            continue;
        }
        monitor_printf(mon, "%s%s", separator,
                       CacheLevelAndType_str(cache->cache));
        if (cache->has_size) {
            g_autofree char *size = size_to_str(cache->size);

            monitor_printf(mon, " %s", size);
        }
        separator = ", ";
    }
    monitor_printf(mon, "\n");
}

static void print_cpu(Monitor *mon, const CpuTopologyInfo *info,
                      const CpuTopologyCpu *cpu, int indent)
{
    monitor_printf(mon, "%*sCPU %" PRId64, indent, "", cpu->cpu_index);
    if (cpu->props->has_node_id) {
        monitor_printf(mon, ", node %" PRId64, cpu->props->node_id);
    }
    if (!cpu->present) {
        monitor_printf(mon, ", not present");
    }
    print_caches(mon, info, cpu->props, CPU_TOPOLOGY_LEVEL_THREAD,
                 cpu->cpu_index, cpu->cpu_index + 1);
}

/* The CPU behind those that are in the same container of level @n as @first */
static int64_t container_end(const CpuTopologyCpuList *first, unsigned n)
{
    const CpuInstanceProperties *props = first->value->props;
    const CpuTopologyCpuList *i;
    int64_t end = first->value->cpu_index + 1;

    for (i = first->next; i; i = i->next) {
        for (unsigned level = 0; level <= n; level++) {
            if (level_id(i->value->props, level) != level_id(props, level)) {
                return end;
            }
        }
        end = i->value->cpu_index + 1;
    }
    return end;
}

void hmp_info_cpu_topology(Monitor *mon, const QDict *qdict)
{
    Error *err = NULL;
    CpuTopologyInfo *info = qmp_query_cpu_topology(&err);
    int64_t open[SHOWN_LEVELS];

    if (hmp_handle_error(mon, err)) {
        return;
    }
    if (!info->cpus) {
        monitor_printf(mon, "This machine does not say where CPUs belong\n");
    }
    memset(open, -1, sizeof(open));
    for (CpuTopologyCpuList *i = info->cpus; i; i = i->next) {
        const CpuTopologyCpu *cpu = i->value;
        bool differs = i == info->cpus;
        int indent = 0;

        for (unsigned n = 0; n < SHOWN_LEVELS; n++) {
            CpuTopologyLevel level = topo_smp_levels[n].level;
            int64_t id = level_id(cpu->props, n);

            if (id < 0) {
                continue;
            }
            differs |= id != open[n];
            open[n] = id;
            if (differs) {
                monitor_printf(mon, "%*s%s %" PRId64, indent, "",
                               CpuTopologyLevel_str(level), id);
                print_caches(mon, info, cpu->props, level,
                             cpu->cpu_index, container_end(i, n));
            }
            indent += 2;
        }
        print_cpu(mon, info, cpu, indent);
    }
    qapi_free_CpuTopologyInfo(info);
}
