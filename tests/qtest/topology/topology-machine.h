/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Machines with a CPU topology, and what they are to tell of it
 */
#ifndef NEARMETAL_TOPOLOGY_MACHINE_H
#define NEARMETAL_TOPOLOGY_MACHINE_H

#include "libqtest.h"

/*
 * What a command line asks for, in words and in numbers. The numbers are
 * worked out by hand from the words: CPUs that share a cache of each level, 0:
 * there is none.
 */
typedef struct TopologyCase {
    const char *name;
    const char *smp;
    const char *caches;         /* "l1d=core l2=cluster,size=1M" */
    unsigned cpus;
    unsigned l1, l2, l3;
} TopologyCase;

extern const TopologyCase topology_cases[];
extern const unsigned topology_case_count;

/*
 * ",smp-cache.0.cache=l1d,smp-cache.0.topology=core,..." for such words; to be
 * freed
 */
char *topology_options(const char *caches);

/* Options for virt with these; to be freed */
char *topology_virt(const char *caches, const char *machine, const char *smp);

/* "4-7" if @span CPUs share what CPU @cpu of @cpus has; to be freed */
char *topology_range(unsigned cpu, unsigned span, unsigned cpus);

/* Two NUMA nodes or more, of 64 MiB each, with -m for them; to be freed */
char *topology_numa(unsigned nodes);

#endif
