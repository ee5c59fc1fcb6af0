/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * policy and host-nodes of memory that is in use
 *
 * The change is made or refused: the kernel gets the new policy, which replaces
 * the old one, and moves the pages that are elsewhere.  If it can't, the old
 * policy is put back; the error tells how many pages are where by then.  Moving
 * takes its time, and so does counting, and the BQL is held: what succeeds
 * counts nothing.
 */
#ifndef NEARMETAL_HOSTMEM_NUMA_H
#define NEARMETAL_HOSTMEM_NUMA_H

#include "system/hostmem.h"

/**
 * hostmem_numa_set_nodes: give memory in use other nodes
 * @nodes: MAX_NODES + 1 bits
 *
 * There must be one at least, and a policy other than default.
 *
 * Returns: true on success, else false with an error and nothing changed
 */
bool hostmem_numa_set_nodes(HostMemoryBackend *backend,
                            const unsigned long *nodes, Error **errp);

/**
 * hostmem_numa_set_policy: give memory in use another policy
 *
 * The default policy has no nodes, so that they are cleared.  Other policies
 * begin with all nodes that QEMU may use if the memory has none yet.
 *
 * Returns: true on success, else false with an error and nothing changed
 */
bool hostmem_numa_set_policy(HostMemoryBackend *backend, HostMemPolicy policy,
                             Error **errp);

/**
 * hostmem_numa_explain: add property, value and range to an error of mbind()
 */
void hostmem_numa_explain(HostMemoryBackend *backend, Error **errp);

/**
 * hostmem_numa_why_differs: why the kernel has another policy than asked for
 *
 * Returns: to be freed
 */
char *hostmem_numa_why_differs(HostMemoryBackend *backend);

#endif /* NEARMETAL_HOSTMEM_NUMA_H */
