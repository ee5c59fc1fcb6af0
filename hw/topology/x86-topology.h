/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU topology that x86 guests read from CPUID
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Main thread, under the BQL.
 */

#ifndef NEARMETAL_X86_TOPOLOGY_H
#define NEARMETAL_X86_TOPOLOGY_H

#include "hw/boards.h"

struct ArchCPU;     /* X86CPU, for which there is no header for all targets */

/**
 * x86_topology_model_l2: the level at which the model of @cpu has its L2
 */
CpuTopologyLevel x86_topology_model_l2(const struct ArchCPU *cpu);

/**
 * x86_topology_default_l2: with clusters=, L2 is shared by the cluster
 * @model: the level at which the CPU model has it
 *
 * What smp-cache says of L2 is left alone.
 *
 * Returns: false if smp-cache names clusters where there are none
 */
bool x86_topology_default_l2(MachineState *ms, CpuTopologyLevel model,
                             Error **errp);

/*
 * Where clusters= was given, CPUs have a cluster-id as well, which is their
 * module-id: management knows no other word between die and core
 */
void x86_topology_cluster_id(const MachineState *ms,
                             CpuInstanceProperties *props);
void x86_topology_add_cluster_id(Object *cpu);

#endif
