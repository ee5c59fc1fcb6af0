/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/boards.h"
#include "hw/qdev-core.h"
#include "hw/nearmetal/topology/machine-topology.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-cpu-topology.h"
#include "tuning.h"

static unsigned level_count(const MachineState *ms, const TopoSmpLevel *level)
{
    return *(const unsigned *)((const char *)&ms->smp + level->count);
}

/* How many parts of @level the CPUs name; one if they do not name any */
static int64_t level_parts(const CPUArchIdList *cpus, const TopoSmpLevel *level)
{
    int64_t parts = 1;

    for (int i = 0; i < cpus->len; i++) {
        parts = MAX(parts, topo_smp_id(&cpus->cpus[i].props, level) + 1);
    }
    return parts;
}

/* Other levels are told where there is more than one part */
static bool level_always(CpuTopologyLevel level)
{
    return level == CPU_TOPOLOGY_LEVEL_SOCKET ||
           level == CPU_TOPOLOGY_LEVEL_CORE ||
           level == CPU_TOPOLOGY_LEVEL_THREAD;
}

/* NULL if the machine does not say where CPUs belong, or just counts them */
static const CPUArchIdList *placed_cpus(MachineState *ms)
{
    MachineClass *mc = MACHINE_GET_CLASS(ms);
    const CPUArchIdList *cpus = NULL;

    if (mc->possible_cpu_arch_ids) {
        cpus = mc->possible_cpu_arch_ids(ms);
    }
    return cpus && cpus->len && cpus->cpus[0].props.has_core_id ? cpus : NULL;
}

static void add_shape(TuningList *list, MachineState *ms)
{
    const CPUArchIdList *cpus = placed_cpus(ms);
    GString *requested = g_string_new(NULL);
    GString *effective = g_string_new(NULL);
    TuningItem *item;

    for (size_t i = 0; i < TOPO_SMP_LEVELS; i++) {
        const TopoSmpLevel *level = &topo_smp_levels[i];
        const char *name = level->level == CPU_TOPOLOGY_LEVEL_MODULE
                           ? machine_topology_module(ms)
                           : CpuTopologyLevel_str(level->level);

        if (level_always(level->level) || level_count(ms, level) > 1) {
            g_string_append_printf(requested, "%ss=%u,", name,
                                   level_count(ms, level));
            g_string_append_printf(effective, "%ss=%" PRId64 ",", name,
                                   cpus ? level_parts(cpus, level) : 0);
        }
    }
    g_string_append_printf(requested, "maxcpus=%u", ms->smp.max_cpus);
    g_string_append_printf(effective, "maxcpus=%d", cpus ? cpus->len : 0);
    item = tuning_add(list, TUNING_AREA_TOPOLOGY, OBJECT(ms), "smp",
                      g_string_free(requested, false),
                      g_string_free(effective, !cpus));
    if (!cpus) {
        item->reason = g_strdup("the machine does not say where CPUs belong");
    }
}

static const CpuTopologyCache *find_cache(const CpuTopologyInfo *info,
                                          CacheLevelAndType kind)
{
    for (CpuTopologyCacheList *l = info->caches; l; l = l->next) {
        if (l->value->cache == kind) {
            return l->value;
        }
    }
    return NULL;
}

/* A level, and a size if one was asked for */
static char *cache_text(CpuTopologyLevel level, bool has_size, uint64_t size)
{
    const char *name = CpuTopologyLevel_str(level);

    return has_size ? g_strdup_printf("%s,size=%" PRIu64, name, size)
                    : g_strdup(name);
}

static void add_cache_setting(TuningList *list, MachineState *ms,
                              const CpuTopologyInfo *info,
                              CacheLevelAndType kind)
{
    const TopoRequest *request = &ms->topology->request[kind];
    const char *untold = topology_cpuid_untold();
    const CpuTopologyCache *cache = untold ? NULL : find_cache(info, kind);
    g_autofree char *setting = g_strdup_printf("smp-cache.%s",
                                               CacheLevelAndType_str(kind));
    CpuTopologyLevel level = topo_level_to_user(ms, request->level);
    char *effective = NULL;
    TuningItem *item;

    if (cache) {
        effective = cache_text(cache->topology, request->has_size,
                               cache->size);
        /* Which level the default is, is the machine's choice */
        level = request->level == TOPO_DEFAULT ? cache->topology : level;
    }
    item = tuning_add(list, TUNING_AREA_TOPOLOGY, OBJECT(ms), setting,
                      cache_text(level, request->has_size, request->size),
                      effective);
    if (!cache) {
        item->reason = g_strdup(untold ?:
                                "the guest is not told of this cache");
    } else if (item->status == TUNING_STATUS_DIFFERS) {
        item->reason = g_strdup("this machine type tells guests so");
    }
}

void tuning_topology(TuningList *list)
{
    MachineState *ms = MACHINE(qdev_get_machine());
    CpuTopologyInfo *info;

    add_shape(list, ms);
    if (!ms->topology || !ms->topology->caches_given) {
        return;
    }
    info = qmp_query_cpu_topology(&error_abort);
    for (int kind = 0; kind < TOPO_KINDS; kind++) {
        if (ms->topology->request[kind].given) {
            add_cache_setting(list, ms, info, kind);
        }
    }
    qapi_free_CpuTopologyInfo(info);
}
