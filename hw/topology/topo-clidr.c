/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the cache registers of an Arm CPU say
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "topo-clidr.h"

/* Ctype fields of CLIDR (Arm ARM, D19.2.27) */
enum {
    CTYPE_NONE,
    CTYPE_INSTRUCTION,
    CTYPE_DATA,
    CTYPE_SEPARATE,
    CTYPE_UNIFIED,
};

static uint64_t clidr_field(uint64_t value, unsigned start, unsigned length)
{
    return value >> start & ((1ull << length) - 1);
}

static TopoGeometry decode_ccsidr(uint64_t value, bool ccidx)
{
    TopoGeometry g = { .line = 16u << clidr_field(value, 0, 3) };
    uint64_t ways = clidr_field(value, 3, ccidx ? 21 : 10) + 1;
    uint64_t sets = (ccidx ? clidr_field(value, 32, 24)
                           : clidr_field(value, 13, 15)) + 1;

    if (sets > 1) {
        g.ways = ways;
        g.sets = sets;
        g.size = sets * ways * g.line;
    }
    return g;
}

static void clidr_add(const TopoArmRegs *regs, TopoKind kind, unsigned csselr,
                TopoCpuCaches *caches)
{
    caches->present[kind] = true;
    caches->geometry[kind] = decode_ccsidr(regs->ccsidr[csselr], regs->ccidx);
}

static void decode_l1(const TopoArmRegs *regs, TopoCpuCaches *caches)
{
    unsigned ctype = clidr_field(regs->clidr, 0, 3);

    if (ctype == CTYPE_DATA || ctype == CTYPE_SEPARATE ||
        ctype == CTYPE_UNIFIED) {
        clidr_add(regs, TOPO_L1D, 0, caches);
    }
    if (ctype == CTYPE_INSTRUCTION || ctype == CTYPE_SEPARATE) {
        clidr_add(regs, TOPO_L1I, 1, caches);
    }
    caches->unified_l1 = ctype == CTYPE_UNIFIED;
}

void topo_clidr_decode(const TopoArmRegs *regs, TopoCpuCaches *caches)
{
    memset(caches, 0, sizeof(*caches));
    decode_l1(regs, caches);
    for (unsigned level = 2; level <= 3; level++) {
        unsigned ctype = clidr_field(regs->clidr, (level - 1) * 3, 3);

        /* The registers end at the first level without a cache */
        if (ctype == CTYPE_NONE || !caches->present[TOPO_L1D]) {
            return;
        }
        clidr_add(regs, level == 2 ? TOPO_L2 : TOPO_L3,
            (level - 1) << 1 | (ctype == CTYPE_INSTRUCTION), caches);
    }
}
