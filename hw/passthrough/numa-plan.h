/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * On which NUMA node of the guest a passthrough device belongs
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic: GLib only, for any thread.  hw/passthrough/numa-node.c asks it.
 */

#ifndef NEARMETAL_NUMA_PLAN_H
#define NEARMETAL_NUMA_PLAN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* QEMU's MAX_NODES: a guest has nodes 0 to 127 */
#define NUMA_PLAN_MAX_NODES     128

/* What the property numa-node asks for: a node of the guest, or one of these */
typedef enum NumaPlanRequest {
    NUMA_PLAN_OFF = -1,
    NUMA_PLAN_AUTO = -2,
} NumaPlanRequest;

/**
 * numa_plan_parse: understand the words of the property numa-node
 * @text: "off", "auto" or a number
 * @request: filled in on success: a node or a NumaPlanRequest
 */
bool numa_plan_parse(const char *text, int *request);

/**
 * numa_plan_number: the same for a number
 */
bool numa_plan_number(int64_t number, int *request);

/**
 * numa_plan_word: a request as numa_plan_parse() understands it; to be freed
 */
char *numa_plan_word(int request);

/* The memory of a node of the guest */
typedef struct NumaPlanMemory {
    bool bound;                         /* its policy names host nodes */
    const unsigned long *host_nodes;    /* bitmap of these; NULL: none */
} NumaPlanMemory;

/**
 * numa_plan_map: the node of the guest whose memory is on a host node
 * @memory: of each of the guest's @nodes nodes
 * @host: node of the host, -1 if the host does not know it
 * @why: filled in if there is no such node: why, in words, to be freed
 *
 * Memory that may be on more than one host node is on none for certain.
 *
 * Returns: a node of the guest, -1 if there is none or more than one
 */
int numa_plan_map(const NumaPlanMemory *memory, unsigned nodes, int host,
                  char **why);

/* What a device wants that shares the node of its host bridge with others */
typedef struct NumaPlanVote {
    int node;               /* -1: it does not care */
    bool firm;              /* given by number, not found by auto */
} NumaPlanVote;

/**
 * numa_plan_agree: the node for all of the devices
 *
 * A number has precedence over what auto found.
 *
 * Returns: a node; -1 if there is none that all agree on
 */
int numa_plan_agree(const NumaPlanVote *votes, unsigned count);

#endif
