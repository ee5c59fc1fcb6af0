/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On which NUMA node of the guest a passthrough device belongs
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "numa-plan.h"

#define WORD_BITS (8 * sizeof(unsigned long))

bool numa_plan_number(int64_t number, int *request)
{
    if (number < 0 || number >= NUMA_PLAN_MAX_NODES) {
        return false;
    }
    *request = number;
    return true;
}

bool numa_plan_parse(const char *text, int *request)
{
    guint64 number;

    if (g_str_equal(text, "off")) {
        *request = NUMA_PLAN_OFF;
        return true;
    }
    if (g_str_equal(text, "auto")) {
        *request = NUMA_PLAN_AUTO;
        return true;
    }
    return g_ascii_string_to_unsigned(text, 10, 0, NUMA_PLAN_MAX_NODES - 1,
                                      &number, NULL) &&
           numa_plan_number(number, request);
}

char *numa_plan_word(int request)
{
    switch (request) {
    case NUMA_PLAN_OFF:
        return g_strdup("off");
    case NUMA_PLAN_AUTO:
        return g_strdup("auto");
    default:
        return g_strdup_printf("%d", request);
    }
}

static bool has_host_node(const NumaPlanMemory *memory, unsigned node)
{
    return memory->host_nodes[node / WORD_BITS] >> node % WORD_BITS & 1;
}

/* The only host node that the memory may be on, -1 if that is not certain */
static int sole_host_node(const NumaPlanMemory *memory)
{
    int sole = -1;

    if (!memory->bound || !memory->host_nodes) {
        return -1;
    }
    for (unsigned node = 0; node < NUMA_PLAN_MAX_NODES; node++) {
        if (!has_host_node(memory, node)) {
            continue;
        }
        if (sole >= 0) {
            return -1;
        }
        sole = node;
    }
    return sole;
}

int numa_plan_map(const NumaPlanMemory *memory, unsigned nodes, int host,
                  char **why)
{
    int found = -1;

    if (host < 0) {
        *why = g_strdup("the host tells no NUMA node of the device");
        return -1;
    }
    for (unsigned node = 0; node < nodes; node++) {
        if (sole_host_node(&memory[node]) != host) {
            continue;
        }
        if (found >= 0) {
            *why = g_strdup_printf("the memory of the guest's nodes %d and %u "
                                   "is bound to host node %d", found, node,
                                   host);
            return -1;
        }
        found = node;
    }
    if (found < 0) {
        *why = g_strdup_printf("no memory backend of a guest node is bound to "
                               "host node %d alone (host-nodes=%d,policy=bind)",
                               host, host);
    }
    return found;
}

int numa_plan_agree(const NumaPlanVote *votes, unsigned count)
{
    int node[2] = { -1, -1 };           /* by firmness */
    bool split[2] = { false, false };

    for (unsigned i = 0; i < count; i++) {
        bool firm = votes[i].firm;

        if (votes[i].node < 0) {
            continue;
        }
        if (node[firm] >= 0 && node[firm] != votes[i].node) {
            split[firm] = true;
        }
        node[firm] = votes[i].node;
    }
    if (node[true] >= 0) {
        return split[true] ? -1 : node[true];
    }
    return split[false] ? -1 : node[false];
}
