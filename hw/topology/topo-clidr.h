/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the cache registers of an Arm CPU say
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic, GLib only: any thread, it has no state.
 */

#ifndef NEARMETAL_TOPO_CLIDR_H
#define NEARMETAL_TOPO_CLIDR_H

#include "topo-plan.h"

/* CSSELR has 3 bits for the level and one for instructions */
#define TOPO_CCSIDRS    16

typedef struct TopoArmRegs {
    uint64_t clidr;
    uint64_t ccsidr[TOPO_CCSIDRS];  /* by CSSELR: (level - 1) << 1 | InD */
    bool ccidx;                     /* FEAT_CCIDX: the 64-bit format */
} TopoArmRegs;

/**
 * topo_clidr_decode: the caches of an Arm CPU
 *
 * Levels from 4 on are left out: nothing of QEMU has a name for them.  A cache
 * that claims to consist of one set is one whose size is not told: KVM makes
 * such values up, and the 32 bits that it passes of the 64-bit format end
 * before the number of sets.
 */
void topo_clidr_decode(const TopoArmRegs *regs, TopoCpuCaches *caches);

#endif
