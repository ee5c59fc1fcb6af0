/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On which NUMA node of the guest a passthrough device belongs
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifndef NATIVE_UNIT_TEST
#include "qemu/osdep.h"
#endif
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

/* The end of the room that starts with root bus @number */
static unsigned room_end(const NumaPlanUsed *used, unsigned number)
{
    unsigned end = MIN(used->bus_limit, 256);

    for (unsigned i = 0; i < used->root_count; i++) {
        if (used->roots[i].number > number) {
            end = MIN(end, used->roots[i].number);
        }
    }
    return end;
}

/*
 * The middle of the largest unused room leaves the most for ports that are
 * added later, below this bus as well as below the one before it.
 */
int numa_plan_bus_number(const NumaPlanUsed *used)
{
    unsigned best = 0;
    int number = -1;

    for (unsigned i = 0; i < used->root_count; i++) {
        unsigned start = used->roots[i].number + used->roots[i].buses;
        unsigned end = room_end(used, used->roots[i].number);
        unsigned middle = start + (end - start) / 2;

        /* It takes two: one for the bus itself and one below its port */
        if (end < start + 2 || end - start < best) {
            continue;
        }
        middle = MIN(middle, end - 2);
        /* The lowest of equal rooms, whatever the order */
        if (end - start > best || (int)middle < number) {
            best = end - start;
            number = middle;
        }
    }
    return number;
}

static char *free_id(const NumaPlanUsed *used, const char *prefix, unsigned n)
{
    for (;; n++) {
        char *id = g_strdup_printf("%s%u", prefix, n);

        if (!used->id_used(id)) {
            return id;
        }
        g_free(id);
    }
}

/* Number 0 is what ports have that were given none */
static int free_number(const bool *taken)
{
    for (int i = 1; i < 256; i++) {
        if (!taken[i]) {
            return i;
        }
    }
    return -1;
}

char *numa_plan_options(const NumaPlanUsed *used, int node,
                        const char *main_bus, const char *root)
{
    g_autofree char *pxb = root ? NULL : free_id(used, "pxb", node);
    g_autofree char *port = free_id(used, "rp", node);
    g_autofree char *bridge = NULL;
    int bus_number = root ? 0 : numa_plan_bus_number(used);
    int chassis = free_number(used->chassis), slot = free_number(used->slot);

    if (bus_number < 0 || chassis < 0 || slot < 0) {
        return NULL;
    }
    if (!root) {
        bridge = g_strdup_printf("-device pxb-pcie,id=%s,bus=%s,bus_nr=%d,"
                                 "numa_node=%d ",
                                 pxb, main_bus, bus_number, node);
    }
    return g_strdup_printf("%s-device pcie-root-port,id=%s,bus=%s,"
                           "chassis=%d,slot=%d", bridge ?: "", port,
                           root ?: pxb, chassis, slot);
}
