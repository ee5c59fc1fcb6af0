/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU topology of the Arm machine virt
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * While the machine is made, in the main thread, under the BQL.
 */

#ifndef NEARMETAL_ARM_TOPOLOGY_H
#define NEARMETAL_ARM_TOPOLOGY_H

#include "hw/arm/virt.h"

/**
 * arm_topology_init: plan what firmware tables tell, if anything was asked
 *
 * The CPUs exist.  Warns of maxcpus= in any case.
 */
void arm_topology_init(VirtMachineState *vms, Error **errp);

/* Properties of the machine class, and what smp-cache can be there */
void arm_topology_class_init(ObjectClass *oc);

#endif
