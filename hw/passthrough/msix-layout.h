/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a device has its MSI-X structures, and what shares their pages
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Between msix-layout.c and msix-plan.c; others use msix-plan.h.
 * Pure logic: any thread.
 */

#ifndef NEARMETAL_MSIX_LAYOUT_H
#define NEARMETAL_MSIX_LAYOUT_H

#include "msix-plan.h"

static inline uint64_t msix_round_up(uint64_t n, uint64_t step)
{
    return (n + step - 1) / step * step;
}

static inline uint64_t msix_pow2_ceil(uint64_t n)
{
    uint64_t p = 1;

    while (p < n) {
        p <<= 1;
    }
    return p;
}

/* Does @bar hold the upper half of the address of the BAR before it? */
bool msix_bar_is_upper_half(const MsixLayout *l, unsigned bar);

bool msix_bar_is_memory(const MsixLayout *l, unsigned bar);

/**
 * msix_first_memory_bar: the BAR that many drivers look for registers in
 *
 * Returns: a BAR, -1 if the device has none in memory
 */
int msix_first_memory_bar(const MsixLayout *l);

/* Is there anything in @bar besides table and PBA? */
bool msix_has_registers(const MsixLayout *l, unsigned bar);

/**
 * msix_find_need: what would relocating be good for?
 * @reason: filled in: why, in words, to be freed
 */
MsixNeed msix_find_need(const MsixLayout *l, char **reason);

#endif
