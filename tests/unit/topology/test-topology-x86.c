/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Clusters on x86
 */

#include "hw/topology/topo-x86.h"

static void test_modules(void)
{
    unsigned modules = 99;
    char *why = NULL;

    g_assert_true(topo_x86_modules(0, 0, &modules, &why));
    g_assert_cmpuint(modules, ==, 0);
    g_assert_true(topo_x86_modules(4, 0, &modules, &why));
    g_assert_cmpuint(modules, ==, 4);
    g_assert_true(topo_x86_modules(0, 3, &modules, &why));
    g_assert_cmpuint(modules, ==, 3);
    g_assert_true(topo_x86_modules(2, 2, &modules, &why));
    g_assert_cmpuint(modules, ==, 2);
    g_assert_null(why);

    modules = 99;
    g_assert_false(topo_x86_modules(2, 4, &modules, &why));
    g_assert_cmpstr(why, ==, "smp: clusters=2 differs from modules=4; on x86 "
                    "both name one level: give one of them, or the same "
                    "number");
    g_assert_cmpuint(modules, ==, 99);
    g_free(why);
}

static void test_l2_level(void)
{
    const TopoLevel none = TOPO_DEFAULT;

    g_assert_cmpint(topo_x86_l2_level(TOPO_CORE, none, none), ==,
                    TOPO_CLUSTER);
    g_assert_cmpint(topo_x86_l2_level(TOPO_DIE, none, none), ==,
                    TOPO_DIE);
    /* L2 fits between what is named */
    g_assert_cmpint(topo_x86_l2_level(TOPO_CORE, TOPO_CORE, TOPO_SOCKET),
                    ==, TOPO_CLUSTER);
    g_assert_cmpint(topo_x86_l2_level(TOPO_CORE, none, TOPO_CORE), ==,
                    TOPO_CORE);
    g_assert_cmpint(topo_x86_l2_level(TOPO_CORE, TOPO_DIE, none), ==,
                    TOPO_DIE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topology/x86/modules", test_modules);
    g_test_add_func("/topology/x86/l2-level", test_l2_level);
    return g_test_run();
}
