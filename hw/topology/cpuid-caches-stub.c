/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines whose CPUs do not tell who shares a cache
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "machine-topology.h"
#include "x86-topology.h"

CpuTopologyLevel x86_topology_model_l2(const struct ArchCPU *cpu)
{
    return CPU_TOPOLOGY_LEVEL_DEFAULT;
}

TopoTree *topology_cpuid_caches(MachineState *ms)
{
    return NULL;
}

const char *topology_cpuid_untold(void)
{
    return NULL;
}
