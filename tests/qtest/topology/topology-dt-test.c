/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * CPU topology in the device tree of Arm's virt machine
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include <glib/gstdio.h>
#include "qemu/units.h"
#include "../common/fdt-read.h"
#include "../common/stock.h"
#include "topology-machine.h"

static char *tree_of(const char *caches, const char *machine, const char *smp)
{
    g_autofree char *more = g_strdup_printf(",dtb-randomness=off%s", machine);
    g_autofree char *args = topology_virt(caches, more, smp);
    QTestState *qts = qtest_init(args);
    char *dtb = fdt_fetch(qts, NULL);

    qtest_quit(qts);
    return dtb;
}

/* The node that next-level-cache of @node leads to; NULL: it has none */
static char *next_level(const char *dtb, const char *node)
{
    g_autofree char *children = fdt_children(dtb, "/cpus");
    g_auto(GStrv) names = g_strsplit(children, " ", -1);
    uint32_t phandle;

    if (!fdt_property(dtb, node, "next-level-cache", NULL)) {
        return NULL;
    }
    phandle = fdt_cell(dtb, node, "next-level-cache", 0);
    g_assert_cmphex(phandle, !=, 0);
    for (unsigned i = 0; names[i]; i++) {
        g_autofree char *path = g_strdup_printf("/cpus/%s", names[i]);

        if (fdt_property(dtb, path, "phandle", NULL) &&
            fdt_cell(dtb, path, "phandle", 0) == phandle) {
            return g_steal_pointer(&path);
        }
    }
    g_assert_not_reached();
}

/* The node of a CPU's cache from L2 on; NULL: there is none */
static char *cache_of(const char *dtb, unsigned cpu, unsigned level)
{
    char *node = g_strdup_printf("/cpus/cpu@%u", cpu);

    for (unsigned at = 1; at < level && node; at++) {
        char *next = next_level(dtb, node);

        g_free(node);
        node = next;
        if (node) {
            g_assert_cmpstr(fdt_property(dtb, node, "compatible", NULL), ==,
                            "cache");
            g_assert_cmpuint(fdt_cell(dtb, node, "cache-level", 0), ==,
                             at + 1);
        }
    }
    return node;
}

/* Two CPUs have the same cache if and only if they are in one span */
static void check_sharing(const char *dtb, unsigned cpus, unsigned level,
                          unsigned span)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new_with_free_func(g_free);

    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        g_ptr_array_add(nodes, cache_of(dtb, cpu, level));
        if (!span) {
            g_assert_null(nodes->pdata[cpu]);
        }
    }
    for (unsigned a = 0; span && a < cpus; a++) {
        for (unsigned b = 0; b < cpus; b++) {
            g_assert_cmpint(g_str_equal(nodes->pdata[a], nodes->pdata[b]), ==,
                            a / span == b / span);
        }
    }
}

static void test_case(gconstpointer data)
{
    const TopologyCase *c = data;
    g_autofree char *dtb = tree_of(c->caches, "", c->smp);

    check_sharing(dtb, c->cpus, 2, c->l2);
    check_sharing(dtb, c->cpus, 3, c->l3);
    check_sharing(dtb, c->cpus, 4, 0);
    /* An L1 is in its CPU's node: that siblings share it cannot be told */
    for (unsigned cpu = 0; cpu < c->cpus; cpu++) {
        g_autofree char *node = g_strdup_printf("/cpus/cpu@%u", cpu);

        g_assert_cmpuint(fdt_cell(dtb, node, "d-cache-line-size", 0), ==, 64);
        g_assert_cmpuint(fdt_cell(dtb, node, "i-cache-line-size", 0), ==, 64);
    }
}

static void test_sizes(void)
{
    g_autofree char *dtb = tree_of(
        "l1d=core,size=128K,line=64,ways=8 l2=cluster,size=3M,line=64,ways=12 "
        "l3=socket,size=32M", "", "4,clusters=2,cores=2");
    g_autofree char *l2 = cache_of(dtb, 3, 2), *l3 = cache_of(dtb, 3, 3);
    const char *cpu = "/cpus/cpu@3";
    uint32_t size;

    g_assert_cmpuint(fdt_cell(dtb, cpu, "d-cache-size", 0), ==, 128 * KiB);
    g_assert_cmpuint(fdt_cell(dtb, cpu, "d-cache-sets", 0), ==, 256);
    g_assert_cmpuint(fdt_cell(dtb, cpu, "i-cache-size", 0), ==, 48 * KiB);
    g_assert_cmpuint(fdt_cell(dtb, l2, "cache-size", 0), ==, 3 * MiB);
    g_assert_cmpuint(fdt_cell(dtb, l2, "cache-sets", 0), ==, 4096);
    g_assert_cmpuint(fdt_cell(dtb, l2, "cache-line-size", 0), ==, 64);
    g_assert_nonnull(fdt_property(dtb, l2, "cache-unified", &size));
    g_assert_cmpuint(size, ==, 0);
    g_assert_cmpuint(fdt_cell(dtb, l3, "cache-size", 0), ==, 32 * MiB);
    g_assert_null(fdt_property(dtb, l3, "cache-sets", NULL));
    g_assert_null(fdt_property(dtb, l3, "cache-line-size", NULL));
    g_assert_null(fdt_property(dtb, l3, "next-level-cache", NULL));
}

/* What was there before is still there, and as it was */
static void test_rest(void)
{
    g_autofree char *with = tree_of("l2=cluster", "", "4,clusters=2,cores=2");
    g_autofree char *without = tree_of("", "", "4,clusters=2,cores=2");
    g_autofree char *a = fdt_children(with, ""), *b = fdt_children(without, "");
    g_autofree char *cpus = fdt_children(with, "/cpus");
    g_autofree char *map = fdt_children(with, "/cpus/cpu-map/socket0");

    g_assert_cmpstr(a, ==, b);
    g_assert_cmpstr(cpus, ==, "cpu-map cpu@0 cpu@1 cpu@2 cpu@3 l2-cache0 "
                    "l2-cache1");
    g_assert_cmpstr(map, ==, "cluster0 cluster1");
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        g_autofree char *node = g_strdup_printf("/cpus/cpu@%u", cpu);

        g_assert_cmphex(fdt_cell(with, node, "phandle", 0), ==,
                        fdt_cell(without, node, "phandle", 0));
        g_assert_cmphex(fdt_cell(with, node, "reg", 0), ==,
                        fdt_cell(without, node, "reg", 0));
    }
}

/* A second opinion on the form */
static void test_dtc(void)
{
    g_autofree char *dtc = g_find_program_in_path("dtc");
    g_autofree char *dir = NULL, *path = NULL, *command = NULL, *said = NULL;
    g_autofree char *dtb = NULL, *args = NULL;
    QTestState *qts;
    gsize size;
    int status;

    if (!dtc) {
        g_test_skip("no dtc to read the device tree with");
        return;
    }
    args = topology_virt("l2=cluster l3=socket", "",
                         "8,sockets=2,clusters=2,cores=2");
    qts = qtest_init(args);
    dtb = fdt_fetch(qts, &size);
    qtest_quit(qts);
    dir = g_dir_make_tmp("topology-dt.XXXXXX", NULL);
    path = g_build_filename(dir, "dtb", NULL);
    command = g_strdup_printf("%s -q -I dtb -O dts -o /dev/null %s", dtc,
                              path);
    g_assert_true(g_file_set_contents(path, dtb, size, NULL));
    g_assert_true(g_spawn_command_line_sync(command, NULL, &said, &status,
                                            NULL));
    g_assert_cmpint(status, ==, 0);
    g_assert_null(strstr(said, "ERROR"));
    g_unlink(path);
    g_rmdir(dir);
}

static void test_numa(void)
{
    g_autofree char *numa = topology_numa(4);
    g_autofree char *smp = g_strdup_printf("8,sockets=1,clusters=4,cores=2 %s",
                                           numa);
    g_autofree char *dtb = tree_of("", ",numa-by-cluster=on", smp);

    for (unsigned cpu = 0; cpu < 8; cpu++) {
        g_autofree char *node = g_strdup_printf("/cpus/cpu@%u", cpu);

        g_assert_cmpuint(fdt_cell(dtb, node, "numa-node-id", 0), ==, cpu / 2);
    }
}

static void test_512(void)
{
    g_autofree char *dtb = tree_of("l1d=core l2=core l3=socket", "",
                                   "512,sockets=2,clusters=64,cores=4");
    g_autofree char *first = cache_of(dtb, 0, 3), *last = cache_of(dtb, 511, 3);
    g_autofree char *l2 = cache_of(dtb, 511, 2);

    g_assert_cmpstr(first, ==, "/cpus/l3-cache0");
    g_assert_cmpstr(last, ==, "/cpus/l3-cache1");
    g_assert_cmpstr(l2, ==, "/cpus/l2-cache511");
}

static void test_stock(void)
{
    g_autofree char *args = topology_virt("", ",dtb-randomness=off",
                                          "3,maxcpus=8,clusters=2,cores=4");
    g_autofree char *ours = tree_of("", "", "3,maxcpus=8,clusters=2,cores=4");
    g_autofree char *stock = NULL;
    QTestState *qts;
    gsize size;

    if (!have_stock()) {
        return;
    }
    qts = qtest_init_ext(STOCK_BINARY, args, NULL, true);
    stock = fdt_fetch(qts, &size);
    qtest_quit(qts);
    g_assert_cmpint(memcmp(ours, stock, size), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < topology_case_count; i++) {
        g_autofree char *path = g_strdup_printf("/topology/dt/case/%s",
                                                topology_cases[i].name);

        qtest_add_data_func(path, &topology_cases[i], test_case);
    }
    qtest_add_func("/topology/dt/sizes", test_sizes);
    qtest_add_func("/topology/dt/rest", test_rest);
    qtest_add_func("/topology/dt/dtc", test_dtc);
    qtest_add_func("/topology/dt/numa", test_numa);
    qtest_add_func("/topology/dt/512", test_512);
    qtest_add_func("/topology/dt/stock", test_stock);
    return g_test_run();
}
