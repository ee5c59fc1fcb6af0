/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Processor Properties Topology Table of a tree (ACPI 6.5, 5.2.30)
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic, GLib only: any thread, it has no state.
 */

#ifndef NEARMETAL_TOPO_PPTT_H
#define NEARMETAL_TOPO_PPTT_H

#include "topo-plan.h"

/* The first with cache IDs */
#define TOPO_PPTT_REVISION      3

/* Bytes of the header that all tables have: references count from its start */
#define TOPO_PPTT_HEADER        36

/**
 * topo_pptt: what follows the header
 * @stable_ids: containers have IDs of their own, valid ones, that do not
 *              change when something else in the table does
 *
 * A list of private resources holds the first level that the node has of its
 * own; the next ones hang on that.  Nothing hangs on a cache of another node:
 * Linux would count it twice, and make up levels 4 to 6.
 */
GByteArray *topo_pptt(const TopoTree *tree, bool stable_ids);

/* _UID of the processor container device of a node; no other one has it */
uint32_t topo_container_uid(const TopoNode *node);

#endif
