/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The caches that CPUID tells of, for query-cpu-topology
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include "cpu.h"
#include "machine-topology.h"
#include "x86-topology.h"

/* At realization it is the same for AMD's */
CpuTopologyLevel x86_topology_model_l2(const struct ArchCPU *cpu)
{
    return compat_cpu_caches(&cpu->env, false)->l2_cache->share_level;
}

static void add_cache(TopoTree *tree, const MachineState *ms, TopoKind kind,
                      const CPUCacheInfo *info, TopoLevel level)
{
    const MachineTopology *topology = ms->topology;
    TopoCache model = {
        .kind = kind,
        .unified = kind >= TOPO_L2,
        .origin = TOPO_ORIGIN_CPU_MODEL,
        .geometry = {
            .size = info->size,
            .line = info->line_size,
            .ways = info->associativity,
            .sets = info->sets,
        },
    };

    if (topology && topology->request[kind].given) {
        model.origin = TOPO_ORIGIN_USER;
    } else if (topology && topology->clusters_given && kind == TOPO_L2) {
        model.origin = TOPO_ORIGIN_DEFAULT;
    }
    topo_tree_add_caches(tree, &model, level);
}

const char *topology_cpuid_untold(void)
{
    X86CPU *cpu = first_cpu ? X86_CPU(first_cpu) : NULL;

    if (cpu && cpu->cache_info_passthrough) {
        return "host-cache-info=on tells the guest of the host's caches";
    }
    if (cpu && IS_AMD_CPU(&cpu->env) &&
        !(cpu->env.features[FEAT_8000_0001_ECX] & CPUID_EXT3_TOPOEXT)) {
        return "this CPU model of AMD's tells guests who shares a cache with "
               "topoext=on only";
    }
    return NULL;
}

/* All CPUs are alike: the first one speaks for them */
TopoTree *topology_cpuid_caches(MachineState *ms)
{
    X86CPU *cpu = first_cpu ? X86_CPU(first_cpu) : NULL;
    TopoShape shape = machine_topology_shape(ms);
    const CPUX86State *env;
    const CPUCaches *caches;
    TopoTree *tree;
    bool amd;

    if (!cpu || cpu->cache_info_passthrough) {
        return NULL;
    }
    env = &cpu->env;
    amd = IS_AMD_CPU(env);
    if (!amd && env->cpuid_level < 4) {
        return NULL;
    }
    caches = compat_cpu_caches(env, amd);
    shape.cpus = ms->smp.max_cpus;
    tree = topo_tree_new(&shape);
    for (int kind = TOPO_L1D; kind < TOPO_KINDS; kind++) {
        const CPUCacheInfo *info = kind == TOPO_L1D ? caches->l1d_cache :
                                   kind == TOPO_L1I ? caches->l1i_cache :
                                   kind == TOPO_L2 ? caches->l2_cache :
                                   caches->l3_cache;
        TopoLevel level = topo_level_from_qapi(info->share_level);

        /* Leaf 0x8000001D has an L3 whatever l3-cache says */
        if (kind == TOPO_L3 && !amd && !cpu->enable_l3_cache) {
            continue;
        }
        /* As cpu_x86_cpuid() has it for old machine types */
        if (kind < TOPO_L2 && !amd && !cpu->l1_cache_per_core) {
            level = TOPO_THREAD;
        }
        add_cache(tree, ms, kind, info, level);
    }
    return tree;
}
