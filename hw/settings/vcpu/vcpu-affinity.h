/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The host CPUs that the threads of vCPUs run on: machine property
 * vcpu-affinity, and cpu-affinity of each vCPU
 *
 * vcpu-affinity is for the start, and for vCPUs that are plugged in later; it
 * tells what was last asked for.  cpu-affinity is there from when the thread
 * runs, and is what the kernel has.
 * Under the BQL.
 */
#ifndef NEARMETAL_VCPU_AFFINITY_H
#define NEARMETAL_VCPU_AFFINITY_H

#include "hw/boards.h"

/* vcpu_affinity_class_init: add vcpu-affinity to the class of all machines */
void vcpu_affinity_class_init(ObjectClass *oc);

/**
 * vcpu_affinity_start: is vcpu-affinity about vCPUs that the machine can have?
 *
 * From here on, a guest that is told of host CPUs of its own is looked at, see
 * vcpu-pinning.h.
 *
 * Returns: false with an error if it is not
 */
bool vcpu_affinity_start(MachineState *machine, Error **errp);

/**
 * vcpu_affinity_started: the thread of the vCPU runs; give it the affinity that
 * was asked for, and the CPU its property
 *
 * If the kernel refuses, which can hardly happen after the checks, QEMU ends
 * when it is being started, and warns otherwise.
 */
void vcpu_affinity_started(CPUState *cpu);

/**
 * vcpu_affinity_query: the CPUs that the kernel lets the thread run on
 * @cpus: where to store them, to be freed by the caller
 *
 * Returns: false if the thread does not run or the host can't tell
 */
bool vcpu_affinity_query(CPUState *cpu, uint16List **cpus);

/**
 * vcpu_affinity_info: the same for query-cpus-fast
 *
 * Returns: false also where all CPUs of a host with more than 64 would be
 * listed and nobody has asked for an affinity
 */
bool vcpu_affinity_info(CPUState *cpu, uint16List **cpus);

/* vcpu_affinity_requested: the CPUs last asked for, NULL if nobody did */
const uint16List *vcpu_affinity_requested(CPUState *cpu);

#endif /* NEARMETAL_VCPU_AFFINITY_H */
