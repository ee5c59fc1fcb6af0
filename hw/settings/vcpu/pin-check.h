/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Does each vCPU have a host CPU of its own?  GLib only, and any
 * thread: it has no state.
 */
#ifndef NEARMETAL_PIN_CHECK_H
#define NEARMETAL_PIN_CHECK_H

#include <glib.h>

typedef struct VcpuPin {
    unsigned vcpu;
    unsigned ncpus;             /* how many host CPUs it may run on */
    unsigned cpu;               /* the first of them */
} VcpuPin;

/**
 * pin_check: what keeps vCPUs from having a host CPU each
 * @pins: sorted by vCPU
 *
 * Returns: NULL if nothing does, else text such as "vCPUs 0-2,5 may run on
 * several host CPUs; vCPUs 3-4 share host CPU 7", to be freed
 */
char *pin_check(const VcpuPin *pins, unsigned n);

#endif /* NEARMETAL_PIN_CHECK_H */
