/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * On which NUMA node of the guest a passthrough device belongs
 */
#include <glib.h>
#include "hw/passthrough/numa-plan.h"

#define BITS (8 * sizeof(unsigned long))
#define WORDS (NUMA_PLAN_MAX_NODES / BITS)

/* The property */

static void test_parse(void)
{
    static const struct {
        const char *text;
        int request;
    } good[] = {
        { "off", NUMA_PLAN_OFF }, { "auto", NUMA_PLAN_AUTO },
        { "0", 0 }, { "1", 1 }, { "127", 127 }, { "007", 7 },
    };
    static const char *const bad[] = {
        "", "128", "-1", "+1", "-2", " 1", "1 ", "1.0", "0x1", "Off", "autos",
        "on", "99999999999999999999",
    };
    int request;

    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        request = 4711;
        g_assert_true(numa_plan_parse(good[i].text, &request));
        g_assert_cmpint(request, ==, good[i].request);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        request = 4711;
        g_test_message("'%s'", bad[i]);
        g_assert_false(numa_plan_parse(bad[i], &request));
        g_assert_cmpint(request, ==, 4711);
    }
}

static void test_number(void)
{
    static const int64_t bad[] = {
        -1, -2, NUMA_PLAN_MAX_NODES, INT64_MIN, INT64_MAX, 1LL << 32,
    };
    int request = 4711;

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(numa_plan_number(bad[i], &request));
        g_assert_cmpint(request, ==, 4711);
    }
    for (int n = 0; n < NUMA_PLAN_MAX_NODES; n++) {
        g_assert_true(numa_plan_number(n, &request));
        g_assert_cmpint(request, ==, n);
    }
}

static void test_word(void)
{
    for (int n = NUMA_PLAN_AUTO; n < NUMA_PLAN_MAX_NODES; n++) {
        g_autofree char *word = numa_plan_word(n);
        int request = 4711;

        g_assert_true(numa_plan_parse(word, &request));
        g_assert_cmpint(request, ==, n);
    }
}

/* Host node to guest node */

typedef struct Guest {
    NumaPlanMemory memory[4];
    unsigned long hosts[4][WORDS];
    unsigned nodes;
} Guest;

/* A node with memory bound to the host nodes @hosts; -1 ends the list */
static void add_node(Guest *guest, bool bound, const int *hosts)
{
    unsigned n = guest->nodes++;

    for (; *hosts >= 0; hosts++) {
        guest->hosts[n][*hosts / BITS] |= 1UL << *hosts % BITS;
    }
    guest->memory[n] = (NumaPlanMemory) { bound, guest->hosts[n] };
}

#define ADD_BOUND(guest, ...) \
    add_node(guest, true, (const int []) { __VA_ARGS__, -1 })
#define ADD_UNBOUND(guest, ...) \
    add_node(guest, false, (const int []) { __VA_ARGS__, -1 })

static void assert_map(const Guest *guest, int host, int node,
                       const char *words)
{
    g_autofree char *why = NULL;

    g_assert_cmpint(numa_plan_map(guest->memory, guest->nodes, host, &why), ==,
                    node);
    if (words) {
        g_assert_nonnull(why);
        g_assert_nonnull(strstr(why, words));
    } else {
        g_assert_null(why);
    }
}

static void test_map(void)
{
    Guest guest = {};

    ADD_BOUND(&guest, 1);
    ADD_BOUND(&guest, 0);
    ADD_BOUND(&guest, 127);
    assert_map(&guest, 0, 1, NULL);
    assert_map(&guest, 1, 0, NULL);
    assert_map(&guest, 127, 2, NULL);
    assert_map(&guest, 2, -1, "bound to host node 2 alone");
    assert_map(&guest, 128, -1, "bound to host node 128 alone");
    assert_map(&guest, -1, -1, "the host tells no NUMA node");
}

static void test_map_uncertain(void)
{
    Guest several = {}, unbound = {}, none = {}, twice = {};

    ADD_BOUND(&several, 0, 1);
    ADD_BOUND(&several, 1);
    assert_map(&several, 0, -1, "host-nodes=0,policy=bind");
    assert_map(&several, 1, 1, NULL);

    ADD_UNBOUND(&unbound, 0);
    unbound.nodes++;                    /* without any memory backend */
    assert_map(&unbound, 0, -1, "bound to host node 0 alone");

    assert_map(&none, 0, -1, "bound to host node 0 alone");

    ADD_BOUND(&twice, 3);
    ADD_BOUND(&twice, 0);
    ADD_BOUND(&twice, 3);
    assert_map(&twice, 3, -1, "nodes 0 and 2 is bound to host node 3");
    assert_map(&twice, 0, 1, NULL);
}

/* Devices that share a node */

#define AGREE(...) numa_plan_agree((const NumaPlanVote []) { __VA_ARGS__ }, \
    sizeof((const NumaPlanVote []) { __VA_ARGS__ }) / sizeof(NumaPlanVote))

static void test_agree(void)
{
    const NumaPlanVote off = { -1, false };
    const NumaPlanVote auto0 = { 0, false }, auto1 = { 1, false };
    const NumaPlanVote firm0 = { 0, true }, firm1 = { 1, true };

    g_assert_cmpint(numa_plan_agree(NULL, 0), ==, -1);
    g_assert_cmpint(AGREE(off), ==, -1);
    g_assert_cmpint(AGREE(firm0), ==, 0);
    g_assert_cmpint(AGREE(auto1), ==, 1);
    g_assert_cmpint(AGREE(off, auto1, off), ==, 1);
    g_assert_cmpint(AGREE(auto1, auto1), ==, 1);
    g_assert_cmpint(AGREE(auto0, auto1), ==, -1);
    g_assert_cmpint(AGREE(auto0, auto1, auto0), ==, -1);
    g_assert_cmpint(AGREE(firm1, firm1), ==, 1);
    g_assert_cmpint(AGREE(firm0, firm1), ==, -1);
    g_assert_cmpint(AGREE(firm0, firm1, auto1), ==, -1);
    g_assert_cmpint(AGREE(auto0, firm1), ==, 1);
    g_assert_cmpint(AGREE(firm1, auto0, auto1), ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vfio-numa/parse", test_parse);
    g_test_add_func("/vfio-numa/number", test_number);
    g_test_add_func("/vfio-numa/word", test_word);
    g_test_add_func("/vfio-numa/map", test_map);
    g_test_add_func("/vfio-numa/map-uncertain", test_map_uncertain);
    g_test_add_func("/vfio-numa/agree", test_agree);
    return g_test_run();
}
