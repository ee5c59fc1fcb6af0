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

/* Levels of CpuInstanceProperties, from wide to narrow */
static const struct {
    const char *name;
    CpuTopologyLevel level;
    size_t has, id;
} levels[] = {
#define LEVEL(name, LEVEL)                                               \
    { #name, CPU_TOPOLOGY_LEVEL_ ## LEVEL,                               \
      offsetof(CpuInstanceProperties, has_ ## name ## _id),              \
      offsetof(CpuInstanceProperties, name ## _id) }
    LEVEL(socket, SOCKET),
    LEVEL(die, DIE),
    LEVEL(cluster, CLUSTER),
    LEVEL(module, MODULE),
    LEVEL(core, CORE),
#undef LEVEL
};

/* -1: CPUs have no such ID */
static int64_t level_id(const CpuInstanceProperties *props, unsigned level)
{
    const char *base = (const char *)props;

    /* The same by another name */
    if (levels[level].level == CPU_TOPOLOGY_LEVEL_MODULE &&
        props->has_cluster_id) {
        return -1;
    }
    return *(const bool *)(base + levels[level].has)
           ? *(const int64_t *)(base + levels[level].id) : -1;
}

/* Where a cache is shown: its level, or the next wider one that CPUs tell */
static CpuTopologyLevel shown_level(const CpuInstanceProperties *props,
                                    CpuTopologyLevel level)
{
    int n = ARRAY_SIZE(levels) - 1;

    if (level == CPU_TOPOLOGY_LEVEL_THREAD) {
        return level;
    }
    while (n > 0 && levels[n].level != level) {
        n--;
    }
    while (n > 0 && level_id(props, n) < 0) {
        n--;
    }
    return levels[n].level;
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
    int64_t open[ARRAY_SIZE(levels)];

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

        for (unsigned n = 0; n < ARRAY_SIZE(levels); n++) {
            int64_t id = level_id(cpu->props, n);

            if (id < 0) {
                continue;
            }
            differs |= id != open[n];
            open[n] = id;
            if (differs) {
                monitor_printf(mon, "%*s%s %" PRId64, indent, "",
                               levels[n].name, id);
                print_caches(mon, info, cpu->props, levels[n].level,
                             cpu->cpu_index, container_end(i, n));
            }
            indent += 2;
        }
        print_cpu(mon, info, cpu, indent);
    }
    qapi_free_CpuTopologyInfo(info);
}
