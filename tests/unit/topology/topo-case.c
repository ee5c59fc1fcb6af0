/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Cases for the tests of hw/topology, written as on a command line
 */

#include <string.h>
#include "topo-case.h"

const TopoCpuCaches topo_case_n1 = {
    .present = { true, true, true, false },
    .geometry = {
        { .size = 65536, .line = 64, .ways = 4, .sets = 256 },
        { .size = 65536, .line = 64, .ways = 4, .sets = 256 },
        { .size = 1048576, .line = 64, .ways = 8, .sets = 2048 },
    },
};

const TopoCpuCaches topo_case_l3 = {
    .present = { true, true, true, true },
    .geometry = {
        { .size = 65536, .line = 64, .ways = 4, .sets = 256 },
        { .size = 65536, .line = 64, .ways = 4, .sets = 256 },
        { .size = 524288, .line = 64, .ways = 8, .sets = 1024 },
        { .size = 33554432, .line = 64, .ways = 16, .sets = 32768 },
    },
};

const TopoCpuCaches topo_case_unified = {
    .unified_l1 = true,
    .present = { true },
    .geometry = { { .line = 64 } },
};

/* The number after "name=" in a list with commas, @other if it is not there */
static uint64_t number(const char *list, const char *name, uint64_t other)
{
    g_auto(GStrv) parts = g_strsplit(list, ",", -1);

    for (unsigned i = 0; parts[i]; i++) {
        if (g_str_has_prefix(parts[i], name) &&
            parts[i][strlen(name)] == '=') {
            return g_ascii_strtoull(parts[i] + strlen(name) + 1, NULL, 10);
        }
    }
    return other;
}

TopoShape topo_case_shape(const char *smp)
{
    TopoShape shape = {
        .sockets = number(smp, "sockets", 1),
        .dies = number(smp, "dies", 0),
        .clusters = number(smp, "clusters", 0),
        .cores = number(smp, "cores", 1),
        .threads = number(smp, "threads", 1),
    };

    shape.cpus = number(smp, "cpus", shape.sockets * MAX(shape.dies, 1) *
                        MAX(shape.clusters, 1) * shape.cores * shape.threads);
    return shape;
}

static TopoLevel level_by_name(const char *name)
{
    for (int level = 0; level <= TOPO_DEFAULT; level++) {
        if (g_str_equal(name, topo_level_name(level))) {
            return level;
        }
    }
    g_assert_not_reached();
}

static void add_request(const char *text, TopoRequest *request)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", 2);
    g_auto(GStrv) name = g_strsplit(parts[0], "=", 2);
    const char *rest = parts[1] ? parts[1] : "";
    int kind = 0;

    while (!g_str_equal(name[0], topo_kind_name(kind))) {
        g_assert_cmpint(++kind, <, TOPO_KINDS);
    }
    request[kind] = (TopoRequest) {
        .given = true,
        .level = name[1] ? level_by_name(name[1]) : TOPO_DEFAULT,
        .has_size = strstr(rest, "size=") != NULL,
        .size = number(rest, "size", 0),
        .has_line = strstr(rest, "line=") != NULL,
        .line = number(rest, "line", 0),
        .has_ways = strstr(rest, "ways=") != NULL,
        .ways = number(rest, "ways", 0),
    };
}

void topo_case_request(const char *caches, TopoRequest *request)
{
    g_auto(GStrv) parts = g_strsplit(caches, " ", -1);

    memset(request, 0, TOPO_KINDS * sizeof(*request));
    for (unsigned i = 0; parts[i]; i++) {
        if (parts[i][0]) {
            add_request(parts[i], request);
        }
    }
}

TopoTree *topo_case_plan(const char *smp, const char *caches,
                         const TopoCpuCaches *cpu, char **why)
{
    TopoShape shape = topo_case_shape(smp);
    TopoRequest request[TOPO_KINDS];

    topo_case_request(caches, request);
    *why = NULL;
    return topo_plan(&shape, request, cpu, why);
}

TopoTree *topo_case_ok(const char *smp, const char *caches,
                       const TopoCpuCaches *cpu)
{
    g_autofree char *why = NULL;
    TopoTree *tree = topo_case_plan(smp, caches, cpu, &why);

    g_assert_cmpstr(why, ==, NULL);
    g_assert_nonnull(tree);
    return tree;
}

char *topo_case_range(unsigned first, unsigned last)
{
    return first == last ? g_strdup_printf("%u", first)
                         : g_strdup_printf("%u-%u", first, last);
}
