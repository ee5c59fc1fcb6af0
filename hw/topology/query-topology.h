/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-cpu-topology
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifndef NEARMETAL_QUERY_TOPOLOGY_H
#define NEARMETAL_QUERY_TOPOLOGY_H

#include "hw/boards.h"
#include "topo-plan.h"

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

#endif
