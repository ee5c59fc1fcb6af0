/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Where guest memory is in this process, native
 */

#include "qemu/osdep.h"
#include "iothread-tuning/request/ram-window.h"

#define GIB (1ULL << 30)

/* Never read or written: addresses are all that counts */
static uint8_t *const low_host = (uint8_t *)0x10000000;
static uint8_t *const high_host = (uint8_t *)0x7f0000000000;

static void fill_pc(RamWindows *w)
{
    g_assert_cmpint(ram_windows_add(w, 0x100000, 3 * GIB - 0x100000, low_host),
                    ==, 0);
    g_assert_cmpint(ram_windows_add(w, 4 * GIB, GIB, high_host), ==, 1);
}

static void test_find(void)
{
    RamWindows w = {};

    g_assert_cmpint(ram_windows_find(&w, 0, 1), ==, -1);
    fill_pc(&w);
    g_assert_cmpint(ram_windows_find(&w, 0x100000, 1), ==, 0);
    g_assert_cmpint(ram_windows_find(&w, 0x100000, 3 * GIB - 0x100000), ==, 0);
    g_assert_cmpint(ram_windows_find(&w, 3 * GIB - 1, 1), ==, 0);
    g_assert_cmpint(ram_windows_find(&w, 4 * GIB, GIB), ==, 1);
    g_assert_cmpint(ram_windows_find(&w, 5 * GIB - 512, 512), ==, 1);
    g_assert_cmpint(ram_windows_find(&w, 0x200000, 4096), ==, 0);
}

/* All of a buffer has to be in it: what lies beyond is not the guest's RAM */
static void test_edges(void)
{
    RamWindows w = {};

    fill_pc(&w);
    g_assert_cmpint(ram_windows_find(&w, 0xfffff, 1), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, 0xfffff, 2), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, 3 * GIB, 1), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, 3 * GIB - 1, 2), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, 0x100000, 3 * GIB), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, 5 * GIB - 1, 2), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, 5 * GIB, 1), ==, -1);
    /* Sums that wrap */
    g_assert_cmpint(ram_windows_find(&w, 0x100000, UINT64_MAX), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, 5 * GIB - 1, UINT64_MAX), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, UINT64_MAX, 1), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, UINT64_MAX, UINT64_MAX), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, UINT64_MAX, 0x100002), ==, -1);
}

static void test_top(void)
{
    RamWindows w = {};

    g_assert_cmpint(ram_windows_add(&w, UINT64_MAX - 4095, 4096, low_host),
                    ==, 0);
    g_assert_cmpint(ram_windows_find(&w, UINT64_MAX, 1), ==, 0);
    g_assert_cmpint(ram_windows_find(&w, UINT64_MAX, 2), ==, -1);
    g_assert_cmpint(ram_windows_find(&w, UINT64_MAX - 4095, 4096), ==, 0);
    g_assert_cmpint(ram_windows_find(&w, 0, 1), ==, -1);
    g_assert_cmpint(ram_windows_add(&w, UINT64_MAX - 8191, 4097, high_host),
                    ==, -1);
    g_assert_cmpint(ram_windows_add(&w, 4096, UINT64_MAX, high_host), ==, -1);
    g_assert_cmpint(ram_windows_add(&w, 4096, 0, high_host), ==, -1);
    g_assert_cmpint(w.count, ==, 1);
}

static void test_host(void)
{
    RamWindows w = {};

    g_assert_cmpint(ram_windows_find_host(&w, low_host), ==, -1);
    fill_pc(&w);
    g_assert_cmpint(ram_windows_find_host(&w, low_host - 1), ==, -1);
    g_assert_cmpint(ram_windows_find_host(&w, low_host), ==, 0);
    g_assert_cmpint(ram_windows_find_host(&w, high_host), ==, 1);
    g_assert_cmpint(ram_windows_find_host(&w, high_host + GIB - 1), ==, 1);
    g_assert_cmpint(ram_windows_find_host(&w, high_host + GIB), ==, -1);
    g_assert_cmpint(ram_windows_find_host(&w, NULL), ==, -1);
}

/* During a change of memory, old ranges and new ones may not mix */
static void test_overlap(void)
{
    RamWindows w = {};

    fill_pc(&w);
    g_assert_cmpint(ram_windows_add(&w, 0, 0x100001, high_host), ==, -1);
    g_assert_cmpint(ram_windows_add(&w, 3 * GIB - 1, 2, high_host), ==, -1);
    g_assert_cmpint(ram_windows_add(&w, 0, 8 * GIB, high_host), ==, -1);
    g_assert_cmpint(ram_windows_add(&w, 4 * GIB, GIB, high_host), ==, -1);
    g_assert_cmpint(ram_windows_add(&w, 4 * GIB + 1, 1, high_host), ==, -1);
    g_assert_cmpint(ram_windows_add(&w, 0, 0x100000, low_host - 0x100000),
                    ==, 2);
    g_assert_cmpint(ram_windows_find(&w, 0, 0x100000), ==, 2);
    g_assert_cmpint(ram_windows_find(&w, 0x100000, 1), ==, 0);
}

static void test_full(void)
{
    RamWindows w = {};
    unsigned i;

    for (i = 0; i < RAM_WINDOWS; i++) {
        g_assert_cmpint(ram_windows_add(&w, i * GIB, GIB, low_host), ==, i);
    }
    g_assert_cmpint(ram_windows_add(&w, i * GIB, GIB, low_host), ==, -1);
    for (i = RAM_WINDOWS; i--; ) {
        g_assert_cmpint(ram_windows_find(&w, i * GIB + 5, 10), ==, i);
        g_assert_cmpint(w.last, ==, i);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ram-window/find", test_find);
    g_test_add_func("/ram-window/edges", test_edges);
    g_test_add_func("/ram-window/top", test_top);
    g_test_add_func("/ram-window/host", test_host);
    g_test_add_func("/ram-window/overlap", test_overlap);
    g_test_add_func("/ram-window/full", test_full);
    return g_test_run();
}
