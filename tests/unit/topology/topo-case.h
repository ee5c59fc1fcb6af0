/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Cases for the tests of hw/topology, written as on a command line
 */
#ifndef NEARMETAL_TOPO_CASE_H
#define NEARMETAL_TOPO_CASE_H

#include "hw/topology/topo-plan.h"

/* "sockets=1,clusters=4,cores=4,threads=2": cpus=N if fewer are present */
TopoShape topo_case_shape(const char *smp);

/*
 * "l1d=core l2=cluster,size=1048576,ways=8 l3=socket": a kind without "=level"
 * has the default one
 */
void topo_case_request(const char *caches, TopoRequest *request);

/* The plan for such texts; *why as from topo_plan() */
TopoTree *topo_case_plan(const char *smp, const char *caches,
                         const TopoCpuCaches *cpu, char **why);

/* The same where it must work */
TopoTree *topo_case_ok(const char *smp, const char *caches,
                       const TopoCpuCaches *cpu);

/* L1d and L1i of 64 KiB, L2 of 1 MiB, no L3; as a Neoverse N1 */
extern const TopoCpuCaches topo_case_n1;

/* L1 to L3 */
extern const TopoCpuCaches topo_case_l3;

/* One L1 for data and instructions, of unknown size; as under KVM */
extern const TopoCpuCaches topo_case_unified;

/* "first-last", or "first" alone; to be freed */
char *topo_case_range(unsigned first, unsigned last);

#endif
