/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clusters on x86
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic, GLib only: any thread, it has no state.
 */

#ifndef NEARMETAL_TOPO_X86_H
#define NEARMETAL_TOPO_X86_H

#include "topo-plan.h"

/**
 * topo_x86_modules: modules that clusters= and modules= of -smp ask for
 * @clusters, @modules: 0: not given
 * @out: filled in: 0: neither was given
 */
bool topo_x86_modules(unsigned clusters, unsigned modules, unsigned *out,
                      char **why);

/**
 * topo_x86_l2_level: where L2 is that smp-cache does not name, with clusters=
 * @model: where the CPU model has it
 * @l1, @l3: what smp-cache says of these, TOPO_DEFAULT: nothing
 *
 * Clusters are there for the scheduler, which on x86 knows them by the L2 that
 * they share.
 */
TopoLevel topo_x86_l2_level(TopoLevel model, TopoLevel l1, TopoLevel l3);

#endif
