/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Devices for the test of the planner of MSI-X relocation
 */
#ifndef NEARMETAL_UNIT_MSIX_LAYOUTS_H
#define NEARMETAL_UNIT_MSIX_LAYOUTS_H

#include "hw/passthrough/msix-plan.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* What auto does besides relocating */
#define KEEP        (-1)
#define REFUSE      (-2)

/* A device, and what is to be planned for it */
typedef struct LayoutCase {
    const char *name;
    MsixBar bar[MSIX_PLAN_BARS];
    unsigned entries;
    unsigned table_bar;
    uint32_t table;
    unsigned pba_bar;
    uint32_t pba;
    uint64_t page;          /* 0: 4 KiB */
    bool unmappable;
    bool nvme;
    bool seen;              /* the guest was seen to use registers there */

    MsixNeed need;
    int bar_auto;           /* a BAR, KEEP or REFUSE */
    const char *usable;
    const char *words;      /* part of the reason, or of the error */
} LayoutCase;

extern const LayoutCase layout_cases[];
extern const size_t layout_case_count;

#endif
