/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Host CPUs of threads, as QEMU and as the kernel tells them
 *
 * Masks have a bit for each of two CPUs, 1 and 2, and 4 for any other.
 */
#ifndef NEARMETAL_QTEST_HOST_AFFINITY_H
#define NEARMETAL_QTEST_HOST_AFFINITY_H

#include "qobject/qlist.h"

/* The two lowest CPUs that we may use, in that order */
extern unsigned cpus[2];

/* find_cpus: false if there are not two */
bool find_cpus(void);

/* list_mask: a list of CPUs */
unsigned list_mask(QList *list);

/* kernel_mask: what the kernel lets a thread run on */
unsigned kernel_mask(pid_t tid);

#endif
