/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Machines with a CPU topology, and what they are to tell of it
 */
#include "qemu/osdep.h"
#include "topology-machine.h"

/* L1 and L2 are in the CPU model, which is max; L3 is not */
const TopologyCase topology_cases[] = {
    { "guide", "32,sockets=1,clusters=4,cores=4,threads=2",
      "l1d=core l1i=core l2=cluster l3=socket", 32, 2, 8, 32 },
    { "guide-4-of-32", "4,maxcpus=32,sockets=1,clusters=4,cores=4,threads=2",
      "l1d=core l1i=core l2=cluster l3=socket", 4, 2, 8, 32 },
    { "two-sockets", "8,sockets=2,clusters=1,cores=4",
      "l2=cluster l3=socket", 8, 1, 4, 4 },
    { "clusters-of-one", "4,sockets=1,clusters=4,cores=1",
      "l2=cluster l3=socket", 4, 1, 1, 4 },
    { "no-clusters", "4,sockets=1,cores=4", "l2=core l3=socket", 4, 1, 1, 4 },
    { "all-in-core", "4,sockets=1,clusters=2,cores=2",
      "l1d=core l1i=core l2=core l3=core", 4, 1, 1, 1 },
    { "l2-alone", "8,sockets=1,clusters=2,cores=2,threads=2", "l2=cluster",
      8, 2, 4, 0 },
    { "in-thread", "4,sockets=1,cores=2,threads=2",
      "l1d=thread l1i=thread l2=core", 4, 1, 2, 0 },
    { "sizes", "4,sockets=1,clusters=2,cores=2",
      "l1d=core,size=128K,line=64,ways=8 l2=cluster,size=3M,line=64,ways=12 "
      "l3=socket,size=32M,line=128,ways=16", 4, 1, 2, 4 },
};
const unsigned topology_case_count = ARRAY_SIZE(topology_cases);

char *topology_options(const char *caches)
{
    g_auto(GStrv) parts = g_strsplit(caches, " ", -1);
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; parts[i] && parts[i][0]; i++) {
        g_auto(GStrv) fields = g_strsplit(parts[i], ",", -1);
        g_auto(GStrv) first = g_strsplit(fields[0], "=", 2);

        g_string_append_printf(text, ",smp-cache.%u.cache=%s,"
                               "smp-cache.%u.topology=%s", i, first[0], i,
                               first[1]);
        for (unsigned f = 1; fields[f]; f++) {
            g_string_append_printf(text, ",smp-cache.%u.%s", i, fields[f]);
        }
    }
    return g_string_free(text, false);
}

char *topology_virt(const char *caches, const char *machine, const char *smp)
{
    g_autofree char *options = topology_options(caches);

    return g_strdup_printf("-machine virt,gic-version=3%s%s -cpu max -smp %s "
                           "-nodefaults", options, machine, smp);
}

char *topology_range(unsigned cpu, unsigned span, unsigned cpus)
{
    unsigned first = cpu - cpu % span;
    unsigned last = MIN(first + span, cpus) - 1;

    return first == last ? g_strdup_printf("%u", first)
                         : g_strdup_printf("%u-%u", first, last);
}

char *topology_numa(unsigned nodes)
{
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "-m %u", nodes * 64);
    for (unsigned i = 0; i < nodes; i++) {
        g_string_append_printf(text, " -object memory-backend-ram,id=ram%u,"
                               "size=64M -numa node,memdev=ram%u", i, i);
    }
    return g_string_free(text, false);
}
