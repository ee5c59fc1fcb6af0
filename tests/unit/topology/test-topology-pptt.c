/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The PPTT of a machine, read back as Linux reads it
 */

#include <string.h>
#include "hw/topology/topo-pptt.h"
#include "tests/qtest/topology/pptt-read.h"
#include "topo-case.h"

/* The table with a header as acpi_table_begin() makes it */
static Pptt *read_back(const TopoTree *tree, bool stable_ids, unsigned *size)
{
    g_autoptr(GByteArray) body = topo_pptt(tree, stable_ids);
    g_autoptr(GByteArray) table = g_byte_array_new();
    uint8_t header[36] = { 'P', 'P', 'T', 'T' };
    unsigned length = sizeof(header) + body->len;
    g_autofree char *why = NULL;
    Pptt *pptt;

    for (unsigned i = 0; i < 4; i++) {
        header[4 + i] = length >> 8 * i;
    }
    header[8] = TOPO_PPTT_REVISION;
    g_byte_array_append(table, header, sizeof(header));
    g_byte_array_append(table, body->data, body->len);
    pptt = pptt_read(table->data, table->len, &why);
    g_assert_cmpstr(why, ==, NULL);
    if (size) {
        *size = length;
    }
    return pptt;
}

static Pptt *plan_and_read(const char *smp, const char *caches,
                           const TopoCpuCaches *cpu, bool stable_ids)
{
    g_autoptr(TopoTree) tree = topo_case_ok(smp, caches, cpu);

    return read_back(tree, stable_ids, NULL);
}

static void check_sharing(const Pptt *pptt, unsigned cpu, unsigned cpus,
                          unsigned level, unsigned type, const char *expect)
{
    bool twice;
    const PpttCache *cache = pptt_cache(pptt, cpu, level, type, &twice);
    g_autofree char *text = cache ? pptt_sharing(pptt, cache, level, cpus)
                                  : g_strdup("none");

    g_assert_false(twice);
    g_assert_cmpstr(text, ==, expect);
}

typedef struct Case {
    const char *smp, *caches;
    const TopoCpuCaches *model;
    unsigned cpus, cpu, levels;
    const char *l1d, *l1i, *l2, *l3;
} Case;

static const Case cases[] = {
    { "sockets=1,clusters=4,cores=4,threads=2",
      "l1d=core l1i=core l2=cluster l3=socket", &topo_case_n1, 32, 13, 3,
      "12-13", "12-13", "8-15", "0-31" },
    { "cpus=4,sockets=1,clusters=4,cores=4,threads=2",
      "l1d=core l1i=core l2=cluster l3=socket", &topo_case_n1, 4, 3, 3,
      "2-3", "2-3", "0-3", "0-3" },
    { "sockets=2,clusters=1,cores=4", "l2=cluster l3=socket", &topo_case_n1,
      8, 5, 3, "5", "5", "4-7", "4-7" },
    { "clusters=4,cores=1", "l2=cluster l3=socket", &topo_case_n1, 4, 2, 3,
      "2", "2", "2", "0-3" },
    { "clusters=4,cores=1", "l2=core l3=cluster", &topo_case_n1, 4, 2, 3,
      "2", "2", "2", "2" },
    { "sockets=2,cores=4", "l2=core l3=socket", &topo_case_n1, 8, 6, 3,
      "6", "6", "6", "4-7" },
    { "clusters=2,cores=2", "l1d=core l1i=core l2=core l3=core",
      &topo_case_n1, 4, 1, 3, "1", "1", "1", "1" },
    { "clusters=2,cores=2", "l2=cluster", &topo_case_n1, 4, 3, 2,
      "3", "3", "2-3", "none" },
    { "cores=2,threads=2", "l1d=thread l1i=thread l2=thread l3=core",
      &topo_case_n1, 4, 3, 3, "3", "3", "3", "2-3" },
    { "cores=2,threads=2", "l1d=socket l2=socket l3=socket", &topo_case_n1,
      4, 3, 3, "0-3", "0-3", "0-3", "0-3" },
};

static void test_sharing(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];
        Pptt *pptt = plan_and_read(c->smp, c->caches, c->model, false);

        g_test_message("%s: %s", c->smp, c->caches);
        g_assert_cmpuint(pptt_cpus(pptt), ==, c->cpus);
        for (unsigned cpu = 0; cpu < c->cpus; cpu++) {
            g_assert_cmpuint(pptt_levels(pptt, cpu), ==, c->levels);
        }
        check_sharing(pptt, c->cpu, c->cpus, 1, PPTT_DATA, c->l1d);
        check_sharing(pptt, c->cpu, c->cpus, 1, PPTT_INSTRUCTION, c->l1i);
        check_sharing(pptt, c->cpu, c->cpus, 1, PPTT_UNIFIED, "none");
        check_sharing(pptt, c->cpu, c->cpus, 2, PPTT_UNIFIED, c->l2);
        check_sharing(pptt, c->cpu, c->cpus, 3, PPTT_UNIFIED, c->l3);
        pptt_free(pptt);
    }
}

static void test_unified_l1(void)
{
    Pptt *pptt = plan_and_read("cores=2", "l2=core l3=socket",
                               &topo_case_unified, false);

    g_assert_cmpuint(pptt_levels(pptt, 1), ==, 3);
    check_sharing(pptt, 1, 2, 1, PPTT_UNIFIED, "1");
    check_sharing(pptt, 1, 2, 1, PPTT_DATA, "none");
    check_sharing(pptt, 1, 2, 2, PPTT_UNIFIED, "1");
    check_sharing(pptt, 1, 2, 3, PPTT_UNIFIED, "0-1");
    pptt_free(pptt);
}

static void test_fields(void)
{
    Pptt *pptt = plan_and_read("cores=2", "l1d=core l2=core,size=3145728,"
                               "line=128,ways=12 l3=socket,size=8388608",
                               &topo_case_n1, false);
    bool twice;
    const PpttCache *c = pptt_cache(pptt, 0, 2, PPTT_UNIFIED, &twice);

    g_assert_cmpuint(c->flags, ==, PPTT_ALL_VALID);
    g_assert_cmpuint(c->size, ==, 3145728);
    g_assert_cmpuint(c->line, ==, 128);
    g_assert_cmpuint(c->ways, ==, 12);
    g_assert_cmpuint(c->sets, ==, 2048);
    g_assert_cmphex(c->attributes & 3, ==, 2);          /* reads and writes */
    g_assert_cmphex(c->attributes & 0x10, ==, 0);       /* write-back */

    c = pptt_cache(pptt, 0, 1, PPTT_INSTRUCTION, &twice);
    g_assert_cmpuint(c->flags, ==, PPTT_ALL_VALID);
    g_assert_cmpuint(c->size, ==, 65536);
    g_assert_cmphex(c->attributes & 3, ==, 0);          /* reads */

    /* Just the size is told of this one: the rest is not valid, and 0 */
    c = pptt_cache(pptt, 0, 3, PPTT_UNIFIED, &twice);
    g_assert_cmphex(c->flags, ==, 0xb9);
    g_assert_cmpuint(c->size, ==, 8388608);
    g_assert_cmpuint(c->sets, ==, 0);
    g_assert_cmpuint(c->ways, ==, 0);
    g_assert_cmpuint(c->line, ==, 0);
    pptt_free(pptt);
}

static void check_cache_ids(const Pptt *pptt)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

    for (unsigned i = 0; i < pptt->caches->len; i++) {
        const PpttCache *c = &g_array_index(pptt->caches, PpttCache, i);

        g_assert_cmpuint(c->id, !=, 0);
        g_assert_true(g_hash_table_add(seen, GUINT_TO_POINTER(c->id)));
        g_assert_cmphex(c->flags & 0x80, ==, 0x80);
    }
}

/* IDs of the containers above a CPU: from its core to its package */
static void check_ids(const Pptt *pptt, unsigned cpu, bool core,
                      const uint32_t *expect)
{
    const PpttNode *node = pptt_cpu(pptt, cpu);

    g_assert_cmphex(node->flags, ==, PPTT_ID_VALID | PPTT_LEAF |
                                     (core ? PPTT_THREAD : 0));
    for (unsigned i = core ? 0 : 1; i < 3; i++) {
        node = pptt_parent(pptt, node);
        g_assert_nonnull(node);
        g_assert_cmphex(node->flags, ==, PPTT_ID_VALID |
                                         (i == 2 ? PPTT_PACKAGE : 0));
        g_assert_cmpuint(pptt_tag(node), ==, expect[i]);
    }
    g_assert_null(pptt_parent(pptt, node));
}

static void test_stable_ids(void)
{
    Pptt *pptt = plan_and_read("sockets=2,clusters=2,cores=2,threads=2", "",
                               &topo_case_n1, true);

    check_ids(pptt, 0, true, (uint32_t[]) { 0, 0, 0 });
    check_ids(pptt, 3, true, (uint32_t[]) { 1, 0, 0 });
    check_ids(pptt, 5, true, (uint32_t[]) { 2, 1, 0 });
    check_ids(pptt, 15, true, (uint32_t[]) { 7, 3, 1 });
    pptt_free(pptt);

    pptt = plan_and_read("sockets=2,clusters=2,cores=2", "", &topo_case_n1,
                         true);
    check_ids(pptt, 6, false, (uint32_t[]) { 0, 3, 1 });
    pptt_free(pptt);
}

/* Without them: as before, numbers in the container, and none is valid */
static void test_plain_ids(void)
{
    Pptt *pptt = plan_and_read("sockets=2,clusters=2,cores=2,threads=2",
                               "l2=cluster", &topo_case_n1, false);
    const PpttNode *node = pptt_cpu(pptt, 15);
    static const uint32_t ids[] = { 1, 1, 1 };

    for (unsigned i = 0; i < 3; i++) {
        node = pptt_parent(pptt, node);
        g_assert_cmpuint(node->id, ==, ids[i]);
        g_assert_cmphex(node->flags, ==, i == 2 ? PPTT_PACKAGE : 0);
    }
    pptt_free(pptt);
}

static void test_container_uids(void)
{
    g_autoptr(TopoTree) tree = topo_case_ok("sockets=2,clusters=2,cores=2,"
                                            "threads=2", "", &topo_case_n1);
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

    for (unsigned i = 0; i < tree->node_count; i++) {
        uint32_t uid = topo_container_uid(&tree->nodes[i]);

        if (tree->nodes[i].level != TOPO_THREAD) {
            g_assert_true(g_hash_table_add(seen, GUINT_TO_POINTER(uid)));
        }
    }
    g_assert_cmpuint(g_hash_table_size(seen), ==, 2 + 4 + 8);
}

typedef struct SizeCase {
    const char *smp;
    unsigned leaves, containers, l1, l2, l3;
} SizeCase;

static const SizeCase sizes[] = {
    { "cores=512", 512, 1, 512, 512, 1 },
    { "sockets=2,clusters=64,cores=4", 512, 2 + 128, 512, 512, 2 },
    { "sockets=2,clusters=32,cores=4,threads=2", 512, 2 + 64 + 256, 256, 256,
      2 },
    { "sockets=512", 512, 512, 512, 512, 512 },
};

/*
 * 512 CPUs with all caches: what all of the tables have to fit into is 128 KiB,
 * of which the others take about 64 KiB with these
 */
static void test_size(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        const SizeCase *c = &sizes[i];
        g_autoptr(TopoTree) tree = topo_case_ok(c->smp, "l1d=core l1i=core "
                                                "l2=core l3=socket",
                                                &topo_case_n1);
        unsigned size;
        Pptt *pptt = read_back(tree, true, &size);
        unsigned heads = c->l1 * 2 + c->l3;

        g_assert_cmpuint(pptt->nodes->len, ==, c->leaves + c->containers);
        g_assert_cmpuint(pptt->caches->len, ==, c->l1 * 2 + c->l2 + c->l3);
        g_assert_cmpuint(size, ==, 36 + 20 * pptt->nodes->len +
                                   28 * pptt->caches->len + 4 * heads);
        g_assert_cmpuint(size, <=, 96 * 1024);
        check_cache_ids(pptt);
        pptt_free(pptt);
    }
}

/* What this CPU's cache of a level is for, from the numbers of the shape */
static char *expect_range(unsigned cpu, unsigned span, unsigned cpus)
{
    unsigned first = cpu / span * span;

    return topo_case_range(first, MIN(first + span, cpus) - 1);
}

static void check_random(unsigned s, unsigned c, unsigned k, unsigned t,
                         unsigned cpus, const int *level)
{
    static const char *const names[] = { "thread", "core", "cluster",
                                         "socket" };
    const unsigned span[] = { 1, t, t * k, t * k * c };
    g_autofree char *smp = g_strdup_printf("sockets=%u,clusters=%u,cores=%u,"
                                           "threads=%u,cpus=%u", s, c, k, t,
                                           cpus);
    g_autofree char *caches = g_strdup_printf("l1d=%s l2=%s l3=%s",
                                              names[level[0]],
                                              names[level[1]],
                                              names[level[2]]);
    Pptt *pptt = plan_and_read(smp, caches, &topo_case_n1, false);
    unsigned cpu = g_test_rand_int_range(0, cpus);

    g_test_message("%s: %s: CPU %u", smp, caches, cpu);
    g_assert_cmpuint(pptt_cpus(pptt), ==, cpus);
    g_assert_cmpuint(pptt_levels(pptt, cpu), ==, 3);
    check_cache_ids(pptt);
    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *expect = expect_range(cpu, span[level[i]], cpus);

        check_sharing(pptt, cpu, cpus, i + 1,
                      i ? PPTT_UNIFIED : PPTT_DATA, expect);
    }
    pptt_free(pptt);
}

static void test_random(void)
{
    for (unsigned round = 0; round < 2000; round++) {
        unsigned s = g_test_rand_int_range(1, 4);
        unsigned c = g_test_rand_int_range(1, 5);
        unsigned k = g_test_rand_int_range(1, 5);
        unsigned t = g_test_rand_int_range(1, 4);
        unsigned cpus = g_test_rand_int_range(1, s * c * k * t + 1);
        int level[3];

        level[0] = g_test_rand_int_range(0, 4);
        level[1] = g_test_rand_int_range(level[0], 4);
        /* Threads of a core share its last level */
        level[2] = g_test_rand_int_range(MAX(level[1], t > 1), 4);
        check_random(s, c, k, t, cpus, level);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topology/pptt/sharing", test_sharing);
    g_test_add_func("/topology/pptt/unified-l1", test_unified_l1);
    g_test_add_func("/topology/pptt/fields", test_fields);
    g_test_add_func("/topology/pptt/stable-ids", test_stable_ids);
    g_test_add_func("/topology/pptt/plain-ids", test_plain_ids);
    g_test_add_func("/topology/pptt/container-uids", test_container_uids);
    g_test_add_func("/topology/pptt/size", test_size);
    g_test_add_func("/topology/pptt/random", test_random);
    return g_test_run();
}
