/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which parts of a BAR trap: page arithmetic
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic: GLib only.
 */

#ifndef NEARMETAL_TRAP_SPANS_H
#define NEARMETAL_TRAP_SPANS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdint.h>

typedef struct TrapSpan {
    uint64_t begin;
    uint64_t end;       /* the first byte behind */
} TrapSpan;

/**
 * trap_spans: what of a BAR is not mapped into the guest
 * @size: of the BAR, in bytes
 * @page: of the host, in bytes, a power of two
 * @mapped: array of TrapSpan: host memory that is mapped
 * @emulated: array of TrapSpan: what lies on top of it, without
 *
 * Hypervisors map whole host pages: a page that is not in one mapping as a
 * whole, or has something emulated in it, traps.
 *
 * Returns: array of TrapSpan, ordered, without neighbours; to be unreferenced
 */
GArray *trap_spans(uint64_t size, uint64_t page, const GArray *mapped,
                   const GArray *emulated);

#endif
