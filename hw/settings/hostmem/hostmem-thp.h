/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * thp=on|off|inherit: transparent huge pages of a memory backend
 *
 * The kernel has no call that takes an advice back, hence inherit is for new
 * memory only.  Under the BQL.
 */
#ifndef NEARMETAL_HOSTMEM_THP_H
#define NEARMETAL_HOSTMEM_THP_H

#include "system/hostmem.h"

/* hostmem_thp_class_init: add the property */
void hostmem_thp_class_init(ObjectClass *oc);

/* hostmem_thp_ram_flags: what the RAM block of the backend needs */
uint32_t hostmem_thp_ram_flags(HostMemoryBackend *backend);

/**
 * hostmem_thp_start: advise the kernel about memory that has just been mapped
 *
 * Returns: true on success, else false with an error
 */
bool hostmem_thp_start(HostMemoryBackend *backend, Error **errp);

#endif /* NEARMETAL_HOSTMEM_THP_H */
