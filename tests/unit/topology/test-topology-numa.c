/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * CPUs on NUMA nodes, by cluster
 */

#include "hw/topology/topo-numa.h"
#include "topo-case.h"

typedef struct Case {
    const char *smp;
    unsigned nodes;
    const char *expect;         /* a digit for each CPU */
    int empty;
} Case;

static const Case cases[] = {
    /* No more nodes than sockets: sockets take turns */
    { "sockets=2,clusters=2,cores=2", 1, "00000000", -1 },
    { "sockets=2,clusters=2,cores=2", 2, "00001111", -1 },
    { "sockets=4,clusters=1,cores=2", 2, "00110011", -1 },
    /* The guide's shape on two nodes, and on four */
    { "clusters=4,cores=4,threads=2", 2,
      "00000000000000001111111111111111", -1 },
    { "clusters=4,cores=4,threads=2", 4,
      "00000000111111112222222233333333", -1 },
    { "sockets=2,clusters=2,cores=2", 4, "00112233", -1 },
    { "sockets=2,clusters=4,cores=1", 4, "00112233", -1 },
    /* What does not come out even never splits a cluster or joins sockets */
    { "clusters=3,cores=2", 2, "000011", -1 },
    { "sockets=2,clusters=3,cores=1", 4, "001223", -1 },
    { "sockets=3,clusters=2,cores=1", 4, "012233", -1 },
    { "sockets=2,clusters=2,cores=1", 3, "0122", -1 },
    /* More nodes than clusters: the last ones of a socket have memory alone */
    { "clusters=2,cores=2", 4, "0011", 2 },
    { "sockets=2,clusters=1,cores=2", 4, "0011", 2 },
    { "sockets=2,clusters=2,cores=1", 5, "0123", 4 },
    { "sockets=2,dies=2,clusters=2,cores=1", 16, "01234567", 8 },
    { "cores=4", 2, "0000", 1 },
    { "dies=2,clusters=2,cores=1", 2, "0011", -1 },
};

static void test_by_cluster(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];
        TopoShape shape = topo_case_shape(c->smp);
        g_autofree char *text = g_strnfill(shape.cpus, '?');

        for (unsigned cpu = 0; cpu < shape.cpus; cpu++) {
            text[cpu] = '0' + topo_numa_node(&shape, c->nodes, cpu);
        }
        g_test_message("%s, %u nodes", c->smp, c->nodes);
        g_assert_cmpstr(text, ==, c->expect);
        g_assert_cmpint(topo_numa_empty(&shape, c->nodes), ==, c->empty);
    }
}

static void check_random(unsigned s, unsigned c, unsigned k, unsigned nodes)
{
    TopoShape shape = { .sockets = s, .clusters = c, .cores = k,
                        .threads = 1, .cpus = s * c * k };
    unsigned last = 0, max = 0;

    for (unsigned cpu = 0; cpu < shape.cpus; cpu++) {
        unsigned node = topo_numa_node(&shape, nodes, cpu);

        g_assert_cmpuint(node, <, nodes);
        g_assert_cmpuint(node, ==,
                         topo_numa_node(&shape, nodes, cpu / k * k));
        max = MAX(max, node);
        if (MIN(nodes, s * c) > s) {
            /* In order, and none for two sockets */
            g_assert_cmpuint(node, >=, last);
            if (cpu && cpu % (c * k) == 0) {
                g_assert_cmpuint(node, >, last);
            }
        }
        last = node;
    }
    /* All nodes before the last one that has CPUs have some */
    g_assert_cmpint(topo_numa_empty(&shape, nodes), ==,
                    nodes > s * c ? (int)(s * c) : -1);
    g_assert_cmpuint(max + 1, ==, MIN(nodes, s * c));
}

static void test_random(void)
{
    for (unsigned round = 0; round < 2000; round++) {
        check_random(g_test_rand_int_range(1, 9), g_test_rand_int_range(1, 9),
                     g_test_rand_int_range(1, 9),
                     g_test_rand_int_range(1, 33));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topology/numa/by-cluster", test_by_cluster);
    g_test_add_func("/topology/numa/random", test_random);
    return g_test_run();
}
