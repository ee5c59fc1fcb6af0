/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Caches in a device tree
 */

#include "hw/topology/topo-dt.h"
#include "topo-case.h"

/* "name=<3> other=l2-cache0 flag", to be freed */
static char *props(const TopoTree *tree, const TopoDtNode *node)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < node->count; i++) {
        const TopoDtProp *p = &node->prop[i];
        TopoDtNode target;

        g_string_append_printf(text, "%s%s", i ? " " : "", p->name);
        switch (p->type) {
        case TOPO_DT_EMPTY:
            break;
        case TOPO_DT_CELL:
            g_string_append_printf(text, "=<%u>", p->cell);
            break;
        case TOPO_DT_STRING:
            g_string_append_printf(text, "=%s", p->string);
            break;
        case TOPO_DT_REF:
            g_assert_true(topo_dt_cache(tree, p->cache, &target));
            g_string_append_printf(text, "=&%s", target.name);
            break;
        }
    }
    return g_string_free(text, FALSE);
}

static void check_cpu(const TopoTree *tree, unsigned cpu, const char *expect)
{
    g_autofree char *name = g_strdup_printf("cpu@%u", cpu);
    g_autofree char *text = NULL;
    TopoDtNode node;

    topo_dt_cpu(tree, cpu, &node);
    text = props(tree, &node);
    g_assert_cmpstr(node.name, ==, name);
    g_assert_cmpint(node.cpu, ==, cpu);
    g_assert_cmpint(node.cache, ==, -1);
    g_assert_cmpstr(text, ==, expect);
}

static void check_cache(const TopoTree *tree, const char *name,
                        const char *expect)
{
    g_autofree char *text = NULL;

    for (unsigned i = 0; i < tree->cache_count; i++) {
        TopoDtNode node;

        if (topo_dt_cache(tree, i, &node) && g_str_equal(node.name, name)) {
            g_assert_null(text);
            g_assert_cmpint(node.cache, ==, i);
            g_assert_cmpint(node.cpu, ==, -1);
            text = props(tree, &node);
        }
    }
    g_assert_cmpstr(text, ==, expect);
}

static void test_guide(void)
{
    g_autoptr(TopoTree) tree = topo_case_ok(
        "sockets=1,clusters=4,cores=4,threads=2",
        "l1d=core l1i=core l2=cluster l3=socket,size=33554432,line=64,ways=16",
        &topo_case_n1);
    const char *l1 = "d-cache-size=<65536> d-cache-sets=<256> "
                     "d-cache-line-size=<64> i-cache-size=<65536> "
                     "i-cache-sets=<256> i-cache-line-size=<64> ";
    const char *l2 = "compatible=cache cache-level=<2> cache-unified "
                     "cache-size=<1048576> cache-sets=<2048> "
                     "cache-line-size=<64> next-level-cache=&l3-cache0";
    g_autofree char *cpu0 = g_strconcat(l1, "next-level-cache=&l2-cache0",
                                        NULL);
    g_autofree char *cpu31 = g_strconcat(l1, "next-level-cache=&l2-cache3",
                                         NULL);

    check_cpu(tree, 0, cpu0);
    check_cpu(tree, 7, cpu0);
    check_cpu(tree, 31, cpu31);
    check_cache(tree, "l2-cache0", l2);
    check_cache(tree, "l2-cache3", l2);
    check_cache(tree, "l2-cache4", NULL);
    check_cache(tree, "l3-cache0", "compatible=cache cache-level=<3> "
                "cache-unified cache-size=<33554432> cache-sets=<32768> "
                "cache-line-size=<64>");
    check_cache(tree, "l3-cache1", NULL);
}

static void test_unknown_sizes(void)
{
    g_autoptr(TopoTree) tree = topo_case_ok("cores=2", "l2=core",
                                            &topo_case_unified);

    check_cpu(tree, 1, "cache-unified cache-line-size=<64> "
              "next-level-cache=&l2-cache1");
    check_cache(tree, "l2-cache1",
                "compatible=cache cache-level=<2> cache-unified");
}

/* A reference to nothing must not be there */
static void test_last_level(void)
{
    g_autoptr(TopoTree) tree = topo_case_ok("cores=2", "l1d",
                                            &topo_case_unified);

    check_cpu(tree, 0, "cache-unified cache-line-size=<64>");
}

static unsigned inexpressible(const char *smp, const char *caches)
{
    g_autoptr(TopoTree) tree = topo_case_ok(smp, caches, &topo_case_n1);
    unsigned count = 0;

    for (unsigned i = 0; i < tree->cache_count; i++) {
        count += !topo_dt_expressible(&tree->caches[i]);
    }
    return count;
}

/* One node for an L1 is what a device tree lacks */
static void test_expressible(void)
{
    g_assert_cmpuint(inexpressible("cores=4", "l1d=core l3=socket"), ==, 0);
    g_assert_cmpuint(inexpressible("cores=4,threads=2", "l1d=thread"), ==, 0);
    g_assert_cmpuint(inexpressible("cores=4,threads=2", "l1d=core"), ==, 8);
    g_assert_cmpuint(inexpressible("clusters=2,cores=4", "l1d=cluster"), ==,
                     4);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topology/dt/guide", test_guide);
    g_test_add_func("/topology/dt/unknown-sizes", test_unknown_sizes);
    g_test_add_func("/topology/dt/last-level", test_last_level);
    g_test_add_func("/topology/dt/expressible", test_expressible);
    return g_test_run();
}
