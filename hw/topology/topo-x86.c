/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clusters on x86
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "topo-x86.h"

bool topo_x86_modules(unsigned clusters, unsigned modules, unsigned *out,
                      char **why)
{
    if (clusters && modules && clusters != modules) {
        *why = g_strdup_printf("smp: clusters=%u differs from modules=%u; on "
                               "x86 both name one level: give one of them, or "
                               "the same number", clusters, modules);
        return false;
    }
    *out = clusters ? clusters : modules;
    return true;
}

TopoLevel topo_x86_l2_level(TopoLevel model, TopoLevel l1, TopoLevel l3)
{
    TopoLevel level = MAX(model, TOPO_CLUSTER);

    /* What is asked for by name goes first */
    if (l1 != TOPO_DEFAULT) {
        level = MAX(level, l1);
    }
    return MIN(level, l3);
}
