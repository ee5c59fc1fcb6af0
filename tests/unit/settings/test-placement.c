/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Where pages are: the kernel's text, made up and of this process
 */
#include <glib.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hw/settings/hostmem/placement.h"

static void test_numa_maps(void)
{
    Placement list[] = { { .start = 0x7f0000000000, .end = 0x7f0000200000 },
                         { .start = 0x7f0000400000, .end = 0x7f0000600000 } };
    static const char *const lines[] = {
        "7effffe00000 default anon=9 N0=9 kernelpagesize_kB=4",
        "7f0000000000 bind:0-1 anon=12 dirty=12 N0=5 N1=7 kernelpagesize_kB=4",
        "7f0000100000 bind:1 anon=1 N1=1 N127=3 kernelpagesize_kB=4",
        "7f0000200000 default anon=9 N0=9 kernelpagesize_kB=4",
        "7f0000400000 prefer:0 file=/dev/N3=4 N5 huge N0=2 "
        "kernelpagesize_kB=2048",
        "7f0000500000 default N128=1 N=4",
        "",
        "junk N0=1",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        placement_numa_maps(list, 2, lines[i]);
    }
    g_assert_cmpuint(list[0].pages[0], ==, 5);
    g_assert_cmpuint(list[0].pages[1], ==, 8);
    g_assert_cmpuint(list[0].pages[127], ==, 3);
    g_assert_cmpuint(list[1].pages[0], ==, 2);
    g_assert_cmpuint(list[1].pages[1], ==, 0);
    g_assert_cmpuint(list[1].pages[3], ==, 0);
    g_assert_cmpuint(list[1].pages[5], ==, 0);
    g_assert_cmpstr(list[0].policy, ==, "mixed");
}

static void expect_policy(const char *words, const char *policy)
{
    Placement p = { .start = 0x1000, .end = 0x2000 };
    g_autofree char *line = g_strdup_printf("1000 %s", words);

    placement_numa_maps(&p, 1, line);
    g_assert_cmpstr(p.policy, ==, policy);
}

static void test_policies(void)
{
    expect_policy("default anon=1 N0=1", "default");
    expect_policy("bind:0-1,3 anon=1 N0=1", "bind:0-1,3");
    expect_policy("interleave:0\n", "interleave:0");
    expect_policy("prefer:2 anon=1", "preferred:2");
    expect_policy("prefer (many):0-1 anon=1", "preferred:0-1");
    /* Memory that nobody has touched has no pages behind it */
    expect_policy("prefer (many):0\n", "preferred:0");
    expect_policy("prefer:2\n", "preferred:2");
    expect_policy("bind:0\n", "bind:0");
    expect_policy("", "");
}

static void expect_flags(const char *flags, const char *thp)
{
    Placement p = { .start = 0x1000, .end = 0x2000 };
    g_autofree char *line = g_strconcat("VmFlags: rd wr ", flags, " ", "\n",
                                        NULL);

    g_assert_true(placement_smaps(&p, 1, &p, line) == &p);
    g_assert_cmpstr(p.thp, ==, thp);
}

static void test_flags(void)
{
    expect_flags("dd hg", "on");
    expect_flags("nh mg", "off");
    expect_flags("ac", "inherit");
    expect_flags("ht hg", "hugetlb");
}

static void test_smaps(void)
{
    Placement list[] = { { .start = 0x7f0000000000, .end = 0x7f0000200000 } };
    static const char *const lines[] = {
        "7effffe00000-7f0000000000 rw-p 00000000 00:00 0",
        "AnonHugePages:      4096 kB",
        "7f0000000000-7f0000100000 rw-p 00000000 00:00 0",
        "Size:               1024 kB",
        "AnonHugePages:      2048 kB",
        "ShmemPmdMapped:     4096 kB",
        "Private_Hugetlb:       8 kB",
        "7f0000100000-7f0000200000 rw-p 00000000 00:00 0",
        "Shared_Hugetlb:       16 kB",
        "7f0000200000-7f0000300000 rw-p 00000000 00:00 0",
        "AnonHugePages:      2048 kB",
    };
    Placement *current = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        current = placement_smaps(list, 1, current, lines[i]);
    }
    g_assert_cmpuint(list[0].huge_bytes, ==, (2048 + 4096 + 8 + 16) * 1024);
}

/* With huge pages of 8 bytes: only where one fits does it matter */
static bool none_given(const char *range, const char *eligible,
                       guint64 huge_page)
{
    Placement area = { .start = 1, .end = 0x100, .huge_page = huge_page };
    Placement *current = placement_smaps(&area, 1, NULL, range);

    g_assert_true(current == &area);
    placement_smaps(&area, 1, current, eligible);
    return area.no_thp;
}

static void test_eligible(void)
{
    g_assert_true(none_given("1-18 rw-p 0", "THPeligible:    0", 8));
    g_assert_true(none_given("8-10 rw-p 0", "THPeligible:    0", 8));
    g_assert_true(none_given("1-f rw-p 0", "THPeligible:    0", 0));
    g_assert_false(none_given("1-f rw-p 0", "THPeligible:    0", 8));
    g_assert_false(none_given("9-17 rw-p 0", "THPeligible:    0", 8));
    g_assert_false(none_given("1-18 rw-p 0", "THPeligible:    1", 8));
}

static void test_self(void)
{
    size_t page = getauxval(AT_PAGESZ), size = 64 * page;
    /* A mapping of its own, as flags differ from those of the neighbours */
    char *area = mmap(NULL, size + 2 * page, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    Placement p = { };
    guint64 total = 0;
    char *error = NULL;

    g_assert_true(area != MAP_FAILED);
    area += page;
    g_assert_cmpint(mprotect(area, size, PROT_READ | PROT_WRITE), ==, 0);
    memset(area, 1, 40 * page);
    p.start = (uintptr_t)area;
    p.end = p.start + size;
    if (!placement_read(&p, 1, "/proc/self", &error)) {
        g_test_skip(error);
        g_free(error);
        return;
    }
    for (unsigned node = 0; node < PLACEMENT_NODES; node++) {
        total += p.pages[node];
    }
    g_assert_cmpuint(total, ==, 40);
}

static void test_missing(void)
{
    Placement p = { };
    g_autofree char *error = NULL;

    g_assert_false(placement_read(&p, 1, "/nonexistent", &error));
    g_assert_nonnull(strstr(error, "/nonexistent/numa_maps"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/placement/numa-maps", test_numa_maps);
    g_test_add_func("/placement/policies", test_policies);
    g_test_add_func("/placement/flags", test_flags);
    g_test_add_func("/placement/smaps", test_smaps);
    g_test_add_func("/placement/eligible", test_eligible);
    g_test_add_func("/placement/self", test_self);
    g_test_add_func("/placement/missing", test_missing);
    return g_test_run();
}
