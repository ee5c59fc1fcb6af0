/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Planner of CPU topology: which caches, who shares them, what is refused
 */

#include "topo-case.h"

typedef struct Case {
    const char *smp, *caches;
    const TopoCpuCaches *cpu;
    const char *expect;
} Case;

/* "l1d 0-1 2-3 | l2 0-3": kinds with the CPUs of each cache; to be freed */
static char *describe(const TopoTree *tree)
{
    GString *text = g_string_new(NULL);
    int kind = -1;

    for (unsigned i = 0; i < tree->cache_count; i++) {
        const TopoCache *c = &tree->caches[i];
        g_autofree char *cpus = topo_case_range(c->first,
                                                c->first + c->count - 1);

        if ((int)c->kind != kind) {
            kind = c->kind;
            g_string_append_printf(text, "%s%s", text->len ? " | " : "",
                                   kind == TOPO_L1D && c->unified ? "l1"
                                   : topo_kind_name(kind));
        }
        g_string_append_printf(text, " %s", cpus);
    }
    return g_string_free(text, FALSE);
}

static const Case sharing[] = {
    /* What is not named: L1 in the core, the last level as wide as it goes */
    { "clusters=2,cores=2", "", &topo_case_n1,
      "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0-1 2-3" },
    { "cores=4", "", &topo_case_n1, "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0-3" },
    { "clusters=2,cores=2", "", &topo_case_l3,
      "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0 1 2 3 | l3 0-3" },
    { "clusters=2,cores=2", "l3=socket", &topo_case_n1,
      "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0 1 2 3 | l3 0-3" },
    /* The guide's shape */
    { "sockets=1,clusters=4,cores=4,threads=2",
      "l1d=core l1i=core l2=cluster l3=socket", &topo_case_n1,
      "l1d 0-1 2-3 4-5 6-7 8-9 10-11 12-13 14-15 16-17 18-19 20-21 22-23 "
      "24-25 26-27 28-29 30-31 | "
      "l1i 0-1 2-3 4-5 6-7 8-9 10-11 12-13 14-15 16-17 18-19 20-21 22-23 "
      "24-25 26-27 28-29 30-31 | l2 0-7 8-15 16-23 24-31 | l3 0-31" },
    /* Four of its CPUs */
    { "cpus=4,sockets=1,clusters=4,cores=4,threads=2",
      "l1d=core l1i=core l2=cluster l3=socket", &topo_case_n1,
      "l1d 0-1 2-3 | l1i 0-1 2-3 | l2 0-3 | l3 0-3" },
    { "cpus=5,clusters=2,cores=2,threads=2", "l2=cluster", &topo_case_n1,
      "l1d 0-1 2-3 4 | l1i 0-1 2-3 4 | l2 0-3 4" },
    { "sockets=2,clusters=1,cores=4", "l2=cluster l3=socket", &topo_case_n1,
      "l1d 0 1 2 3 4 5 6 7 | l1i 0 1 2 3 4 5 6 7 | l2 0-3 4-7 | l3 0-3 4-7" },
    { "clusters=4,cores=1", "l2=cluster l3=socket", &topo_case_n1,
      "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0 1 2 3 | l3 0-3" },
    { "cores=4", "l2=core l3=core", &topo_case_n1,
      "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0 1 2 3 | l3 0 1 2 3" },
    { "clusters=2,cores=2", "l2=cluster", &topo_case_n1,
      "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0-1 2-3" },
    { "cores=2,threads=2", "l1d=thread l1i=thread l2=core", &topo_case_n1,
      "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0-1 2-3" },
    /* Between what is named */
    { "clusters=2,cores=2", "l1d=cluster", &topo_case_l3,
      "l1d 0-1 2-3 | l1i 0-1 2-3 | l2 0-1 2-3 | l3 0-3" },
    { "clusters=2,cores=2", "l3=thread", &topo_case_n1,
      "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0 1 2 3 | l3 0 1 2 3" },
    { "cores=2,threads=2", "l2=thread", &topo_case_l3,
      "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0 1 2 3 | l3 0-3" },
    { "clusters=2,cores=2", "l2,size=2097152", &topo_case_n1,
      "l1d 0 1 2 3 | l1i 0 1 2 3 | l2 0-1 2-3" },
    /* One L1 */
    { "clusters=2,cores=2", "l2=cluster", &topo_case_unified,
      "l1 0 1 2 3 | l2 0-1 2-3" },
    { "clusters=2,cores=2", "l1d=core l1i=core", &topo_case_unified,
      "l1 0 1 2 3" },
    { "clusters=2,cores=2", "l1i=cluster", &topo_case_unified,
      "l1 0-1 2-3" },
    /* x86 */
    { "sockets=2,dies=2,clusters=2,cores=2", "l2=cluster l3=die",
      &topo_case_n1,
      "l1d 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 | "
      "l1i 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 | "
      "l2 0-1 2-3 4-5 6-7 8-9 10-11 12-13 14-15 | l3 0-3 4-7 8-11 12-15" },
};

static void test_sharing(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(sharing); i++) {
        const Case *c = &sharing[i];
        g_autoptr(TopoTree) tree = topo_case_ok(c->smp, c->caches, c->cpu);
        g_autofree char *text = describe(tree);

        g_test_message("%s: %s", c->smp, c->caches);
        g_assert_cmpstr(text, ==, c->expect);
    }
}

static const Case refused[] = {
    { "cores=4", "l2=cluster", &topo_case_n1,
      "smp-cache: l2: topology=cluster: -smp has no clusters; allowed: "
      "thread, core, socket, or give clusters=N to -smp" },
    { "clusters=2,cores=2", "l3=die", &topo_case_n1,
      "smp-cache: l3: topology=die: -smp has no dies; allowed: thread, core, "
      "cluster, socket, or give dies=N to -smp" },
    { "clusters=2,cores=2", "l2=cluster l3=core", &topo_case_n1,
      "smp-cache: l3: topology=core is narrower than l2's cluster; allowed: "
      "cluster, socket" },
    { "clusters=2,cores=2", "l1d=cluster l2=core", &topo_case_n1,
      "smp-cache: l2: topology=core is narrower than l1d's cluster; allowed: "
      "cluster, socket" },
    { "clusters=2,cores=2", "l1i=cluster l3=core", &topo_case_n1,
      "smp-cache: l3: topology=core is narrower than l1d's cluster; allowed: "
      "cluster, socket" },
    { "clusters=2,cores=2", "l1d=core l1i=cluster", &topo_case_n1,
      "smp-cache: l1i: topology=cluster differs from l1d's; allowed: core" },
    { "clusters=2,cores=2,threads=2", "l3=thread", &topo_case_n1,
      "smp-cache: l3: topology=thread: the last level is shared by the "
      "threads=2 of a core at least; allowed: core, cluster, socket" },
    { "cores=2,threads=4", "l2=thread", &topo_case_n1,
      "smp-cache: l2: topology=thread: the last level is shared by the "
      "threads=4 of a core at least; allowed: core, socket" },
    { "cores=2,threads=2", "l1d=thread", &topo_case_unified,
      "smp-cache: l1d: topology=thread: the last level is shared by the "
      "threads=2 of a core at least; allowed: core, socket" },
    { "cores=2", "l3=socket", &topo_case_unified,
      "smp-cache: l3 needs l2, which the CPU model does not have; name l2, "
      "too" },
    { "cores=2", "l2=core,size=0", &topo_case_n1,
      "smp-cache: l2: size=0; allowed: 1 to 4294967295" },
    { "cores=2", "l2=core,size=4294967296", &topo_case_n1,
      "smp-cache: l2: size=4294967296; allowed: 1 to 4294967295" },
    { "cores=2", "l2=core,line=48", &topo_case_n1,
      "smp-cache: l2: line=48; allowed: a power of two, 16 to 2048" },
    { "cores=2", "l2=core,line=8", &topo_case_n1,
      "smp-cache: l2: line=8; allowed: a power of two, 16 to 2048" },
    { "cores=2", "l2=core,ways=0", &topo_case_n1,
      "smp-cache: l2: ways=0; allowed: 1 to 255" },
    { "cores=2", "l2=core,ways=256", &topo_case_n1,
      "smp-cache: l2: ways=256; allowed: 1 to 255" },
    { "cores=2", "l2=core,size=1000000,line=64,ways=8", &topo_case_n1,
      "smp-cache: l2: size=1000000 is not a multiple of line=64 x ways=8; "
      "allowed: multiples of 512" },
    { "cores=2", "l2=core,size=1000000", &topo_case_n1,
      "smp-cache: l2: size=1000000 is not a multiple of line=64 (CPU model) x "
      "ways=8 (CPU model); allowed: multiples of 512" },
    { "cores=2", "l2=core,ways=7", &topo_case_n1,
      "smp-cache: l2: size=1048576 (CPU model) is not a multiple of line=64 "
      "(CPU model) x ways=7; allowed: multiples of 448" },
    { "cores=2", "l1d,size=65536 l1i,size=32768", &topo_case_unified,
      "smp-cache: l1i: the CPU has one L1 for data and instructions; allowed: "
      "size, line and ways of l1d" },
};

static void test_refused(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++) {
        const Case *c = &refused[i];
        g_autofree char *why = NULL;

        g_assert_null(topo_case_plan(c->smp, c->caches, c->cpu, &why));
        g_assert_cmpstr(why, ==, c->expect);
    }
}

typedef struct GeometryCase {
    const char *caches;
    const TopoCpuCaches *cpu;
    TopoKind kind;
    TopoGeometry expect;
    TopoOrigin origin;
} GeometryCase;

static const GeometryCase geometry[] = {
    { "", &topo_case_n1, TOPO_L1D, { 65536, 64, 4, 256 },
      TOPO_ORIGIN_CPU_MODEL },
    { "l2=core", &topo_case_n1, TOPO_L2, { 1048576, 64, 8, 2048 },
      TOPO_ORIGIN_USER },
    { "l2=core,size=524288", &topo_case_n1, TOPO_L2,
      { 524288, 64, 8, 1024 }, TOPO_ORIGIN_USER },
    { "l2=core,size=3145728,line=128,ways=12", &topo_case_n1, TOPO_L2,
      { 3145728, 128, 12, 2048 }, TOPO_ORIGIN_USER },
    { "l2=core,ways=16", &topo_case_n1, TOPO_L2,
      { 1048576, 64, 16, 1024 }, TOPO_ORIGIN_USER },
    /* What nobody tells is not made up */
    { "l3=socket", &topo_case_n1, TOPO_L3, { 0, 0, 0, 0 }, TOPO_ORIGIN_USER },
    { "l3=socket,size=33554432", &topo_case_n1, TOPO_L3,
      { 33554432, 0, 0, 0 }, TOPO_ORIGIN_USER },
    { "l3=socket,size=33554432,line=64,ways=16", &topo_case_n1, TOPO_L3,
      { 33554432, 64, 16, 32768 }, TOPO_ORIGIN_USER },
    { "l2=core", &topo_case_unified, TOPO_L1D, { 0, 64, 0, 0 },
      TOPO_ORIGIN_DEFAULT },
    { "l1i,size=65536,ways=4", &topo_case_unified, TOPO_L1D,
      { 65536, 64, 4, 256 }, TOPO_ORIGIN_USER },
    { "l1d,size=65536 l1i,ways=4", &topo_case_unified, TOPO_L1D,
      { 65536, 64, 4, 256 }, TOPO_ORIGIN_USER },
};

static void test_geometry(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(geometry); i++) {
        const GeometryCase *c = &geometry[i];
        g_autoptr(TopoTree) tree = topo_case_ok("cores=2", c->caches, c->cpu);
        int index = topo_tree_cache(tree, c->kind, 0);
        const TopoCache *cache = &tree->caches[index];

        g_test_message("%s", c->caches);
        g_assert_cmpuint(cache->geometry.size, ==, c->expect.size);
        g_assert_cmpuint(cache->geometry.line, ==, c->expect.line);
        g_assert_cmpuint(cache->geometry.ways, ==, c->expect.ways);
        g_assert_cmpuint(cache->geometry.sets, ==, c->expect.sets);
        g_assert_cmpint(cache->origin, ==, c->origin);
    }
}

static void test_no_caches(void)
{
    static const TopoCpuCaches none;
    g_autoptr(TopoTree) tree = topo_case_ok("cores=2", "", &none);

    g_assert_cmpuint(tree->cache_count, ==, 0);
    g_assert_cmpint(topo_tree_cache(tree, TOPO_L1D, 0), ==, -1);
}

/* Every CPU in one container of each level, ids unique, parents around */
static void check_nodes(const TopoTree *tree, unsigned cpus)
{
    unsigned leaves = 0;

    for (unsigned i = 0; i < tree->node_count; i++) {
        const TopoNode *node = &tree->nodes[i];

        g_assert_cmpuint(node->first + node->count, <=, cpus);
        if (node->parent >= 0) {
            const TopoNode *p = &tree->nodes[node->parent];

            g_assert_cmpint(node->parent, <, i);
            g_assert_cmpint(p->level, >, node->level);
            g_assert_cmpuint(p->first, <=, node->first);
            g_assert_cmpuint(p->first + p->count, >=,
                             node->first + node->count);
        } else {
            g_assert_cmpint(node->level, ==, TOPO_SOCKET);
        }
        if (node->level == TOPO_THREAD) {
            g_assert_cmpuint(node->number, ==, leaves++);
        }
    }
    g_assert_cmpuint(leaves, ==, cpus);
}

static void check_caches(const TopoTree *tree, unsigned cpus)
{
    for (unsigned i = 0; i < tree->cache_count; i++) {
        const TopoCache *c = &tree->caches[i];

        g_assert_cmpuint(c->id, ==, i + 1);
        g_assert_cmpuint(c->count, >, 0);
        if (c->next >= 0) {
            const TopoCache *next = &tree->caches[c->next];

            g_assert_cmpint(next->kind, >, c->kind);
            g_assert_cmpuint(next->first, <=, c->first);
            g_assert_cmpuint(next->first + next->count, >=,
                             c->first + c->count);
        }
        for (unsigned cpu = 0; cpu < cpus; cpu++) {
            bool inside = cpu >= c->first && cpu < c->first + c->count;

            g_assert_cmpint(topo_tree_cache(tree, c->kind, cpu) == (int)i, ==,
                            inside);
        }
    }
}

static void test_random(void)
{
    static const char *const levels[] = { "", "=thread", "=core", "=cluster",
                                          "=socket" };

    for (unsigned round = 0; round < 3000; round++) {
        unsigned s = g_test_rand_int_range(1, 4);
        unsigned c = g_test_rand_int_range(1, 5);
        unsigned k = g_test_rand_int_range(1, 5);
        unsigned t = g_test_rand_int_range(1, 4);
        unsigned cpus = g_test_rand_int_range(1, s * c * k * t + 1);
        int l1 = g_test_rand_int_range(0, 5);
        int l2 = g_test_rand_int_range(0, 5);
        int l3 = g_test_rand_int_range(0, 5);
        g_autofree char *smp = g_strdup_printf("sockets=%u,clusters=%u,"
                                               "cores=%u,threads=%u,cpus=%u",
                                               s, c, k, t, cpus);
        g_autofree char *caches = g_strdup_printf("l1d%s l2%s l3%s",
                                                  levels[l1], levels[l2],
                                                  levels[l3]);
        g_autofree char *why = NULL;
        g_autoptr(TopoTree) tree = topo_case_plan(smp, caches, &topo_case_n1,
                                                  &why);
        bool sound = (!l1 || !l2 || l1 <= l2) && (!l2 || !l3 || l2 <= l3) &&
                     (!l1 || !l3 || l1 <= l3) && (t == 1 || l3 != 1);

        g_test_message("%s: %s", smp, caches);
        g_assert_cmpint(tree != NULL, ==, sound);
        g_assert_cmpint(why == NULL, ==, sound);
        if (tree) {
            check_nodes(tree, cpus);
            check_caches(tree, cpus);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topology/plan/sharing", test_sharing);
    g_test_add_func("/topology/plan/refused", test_refused);
    g_test_add_func("/topology/plan/geometry", test_geometry);
    g_test_add_func("/topology/plan/no-caches", test_no_caches);
    g_test_add_func("/topology/plan/random", test_random);
    return g_test_run();
}
