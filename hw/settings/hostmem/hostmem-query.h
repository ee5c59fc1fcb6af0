/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What query-memdev tells beyond the properties of the backends.  Main thread,
 * under the BQL.
 */
#ifndef NEARMETAL_HOSTMEM_QUERY_H
#define NEARMETAL_HOSTMEM_QUERY_H

#include "placement.h"
#include "qapi/qapi-types-machine.h"
#include "qemu/typedefs.h"
#include "system/hostmem.h"

/* hostmem_query_info: fill in page size and transparent huge pages */
void hostmem_query_info(HostMemoryBackend *backend, Memdev *info);

/* hostmem_hmp_info: the same for info memdev */
void hostmem_hmp_info(Monitor *mon, const Memdev *info);

/**
 * hostmem_walk: what the kernel tells of the memory of backends
 * @backends: referenced, so that their memory stays where it is
 * @why: NULL, or why the host can't tell; to be freed
 *
 * It walks all pages of QEMU for that, in a thread without the BQL while the
 * coroutine waits.
 *
 * Returns: as many as there are backends, to be freed; NULL with an error where
 * no thread can be had
 */
Placement *coroutine_fn hostmem_walk(const GPtrArray *backends, char **why,
                                     Error **errp);

/**
 * hostmem_query_placement: fill in where the memory is
 * @list: the backends, by their IDs
 *
 * Backends may be added and removed during the hostmem_walk().
 *
 * Returns: true on success, else false with an error
 */
bool coroutine_fn hostmem_query_placement(MemdevList *list, Error **errp);

#endif /* NEARMETAL_HOSTMEM_QUERY_H */
