/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Caches in a device tree
 */

#include <libfdt.h>
#include "hw/topology/topo-dt.h"
#include "topo-case.h"

#define ROOM 65536

/* A tree with a node for each CPU, and the caches; to be freed */
static char *write_tree(const TopoTree *tree)
{
    g_autofree uint32_t *phandle = g_new(uint32_t, tree->cache_count);
    char *fdt = g_malloc(ROOM);
    TopoDt dt = { .tree = tree, .phandle = phandle, .out = fdt };

    for (unsigned i = 0; i < tree->cache_count; i++) {
        phandle[i] = 0x8000 + i;
    }
    g_assert_cmpint(fdt_create(fdt, ROOM), ==, 0);
    g_assert_cmpint(fdt_finish_reservemap(fdt), ==, 0);
    g_assert_cmpint(fdt_begin_node(fdt, ""), ==, 0);
    for (unsigned cpu = 0; cpu < tree->shape.cpus; cpu++) {
        g_autofree char *name = g_strdup_printf("cpu@%u", cpu);

        g_assert_cmpint(fdt_begin_node(fdt, name), ==, 0);
        topo_dt_cpu(&dt, cpu);
        g_assert_cmpint(fdt_end_node(fdt), ==, 0);
    }
    topo_dt_caches(&dt);
    g_assert_cmpint(dt.err, ==, 0);
    g_assert_cmpint(fdt_end_node(fdt), ==, 0);
    g_assert_cmpint(fdt_finish(fdt), ==, 0);
    return fdt;
}

/* "name=<3> other=&l2-cache0 flag" of all but the phandle, to be freed */
static char *props(const char *fdt, int node)
{
    GString *text = g_string_new(NULL);
    int offset;

    fdt_for_each_property_offset(offset, fdt, node) {
        const char *name;
        int size;
        const void *data = fdt_getprop_by_offset(fdt, offset, &name, &size);

        if (g_str_equal(name, "phandle")) {
            continue;
        }
        g_string_append_printf(text, "%s%s", text->len ? " " : "", name);
        if (g_str_equal(name, "compatible")) {
            g_string_append_printf(text, "=%s", (const char *)data);
        } else if (g_str_equal(name, "next-level-cache")) {
            int to = fdt_node_offset_by_phandle(fdt, fdt32_ld(data));

            g_string_append_printf(text, "=&%s", fdt_get_name(fdt, to, NULL));
        } else if (size) {
            g_assert_cmpint(size, ==, 4);
            g_string_append_printf(text, "=<%u>", fdt32_ld(data));
        }
    }
    return g_string_free(text, FALSE);
}

/* @expect: NULL: there is no such node */
static void check(const char *fdt, const char *name, const char *expect)
{
    int node = fdt_subnode_offset(fdt, 0, name);
    g_autofree char *text = node < 0 ? NULL : props(fdt, node);

    g_assert_cmpstr(text, ==, expect);
}

static void test_guide(void)
{
    g_autoptr(TopoTree) tree = topo_case_ok(
        "sockets=1,clusters=4,cores=4,threads=2",
        "l1d=core l1i=core l2=cluster l3=socket,size=33554432,line=64,ways=16",
        &topo_case_n1);
    g_autofree char *fdt = write_tree(tree);
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

    check(fdt, "cpu@0", cpu0);
    check(fdt, "cpu@7", cpu0);
    check(fdt, "cpu@31", cpu31);
    check(fdt, "l2-cache0", l2);
    check(fdt, "l2-cache3", l2);
    check(fdt, "l2-cache4", NULL);
    check(fdt, "l3-cache0", "compatible=cache cache-level=<3> "
                "cache-unified cache-size=<33554432> cache-sets=<32768> "
                "cache-line-size=<64>");
    check(fdt, "l3-cache1", NULL);
}

static void test_unknown_sizes(void)
{
    g_autoptr(TopoTree) tree = topo_case_ok("cores=2", "l2=core",
                                            &topo_case_unified);
    g_autofree char *fdt = write_tree(tree);

    check(fdt, "cpu@1", "cache-unified cache-line-size=<64> "
              "next-level-cache=&l2-cache1");
    check(fdt, "l2-cache1",
                "compatible=cache cache-level=<2> cache-unified");
}

/* A reference to nothing must not be there */
static void test_last_level(void)
{
    g_autoptr(TopoTree) tree = topo_case_ok("cores=2", "l1d",
                                            &topo_case_unified);
    g_autofree char *fdt = write_tree(tree);

    check(fdt, "cpu@0", "cache-unified cache-line-size=<64>");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topology/dt/guide", test_guide);
    g_test_add_func("/topology/dt/unknown-sizes", test_unknown_sizes);
    g_test_add_func("/topology/dt/last-level", test_last_level);
    return g_test_run();
}
