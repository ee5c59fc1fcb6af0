/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Caches in a machine's device tree
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * While the machine is made, in the main thread, under the BQL.
 */

#ifndef NEARMETAL_TOPOLOGY_FDT_H
#define NEARMETAL_TOPOLOGY_FDT_H

#include "hw/boards.h"

/*
 * Describe the caches of ms->topology->tree, if there is one, in ms->fdt, whose
 * nodes /cpus/cpu@N exist
 */
void topology_fdt_add_caches(MachineState *ms);

#endif
