/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which parts of a BAR trap: page arithmetic
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifdef NATIVE_UNIT_TEST
#include <glib.h>
#else
#include "qemu/osdep.h"
#endif
#include "trap-spans.h"

static void spans_add(GArray *spans, uint64_t begin, uint64_t end)
{
    TrapSpan span = { begin, end };

    if (begin < end) {
        g_array_append_val(spans, span);
    }
}

/* Take @hole out of all @spans */
static GArray *spans_cut(GArray *spans, TrapSpan hole)
{
    GArray *left = g_array_new(false, false, sizeof(TrapSpan));

    for (guint i = 0; i < spans->len; i++) {
        TrapSpan s = g_array_index(spans, TrapSpan, i);

        spans_add(left, s.begin, MIN(s.end, MAX(hole.begin, s.begin)));
        spans_add(left, MAX(s.begin, MIN(hole.end, s.end)), s.end);
    }
    g_array_unref(spans);
    return left;
}

static GArray *whole_pages(uint64_t size, uint64_t page, const GArray *mapped)
{
    GArray *direct = g_array_new(false, false, sizeof(TrapSpan));

    for (guint i = 0; i < mapped->len; i++) {
        TrapSpan s = g_array_index(mapped, TrapSpan, i);

        spans_add(direct, (s.begin + page - 1) & -page,
                  MIN(s.end, size) & -page);
    }
    return direct;
}

GArray *trap_spans(uint64_t size, uint64_t page, const GArray *mapped,
                   const GArray *emulated)
{
    GArray *trapped = g_array_new(false, false, sizeof(TrapSpan));
    g_autoptr(GArray) direct = whole_pages(size, page, mapped);

    for (guint i = 0; i < emulated->len; i++) {
        TrapSpan hole = g_array_index(emulated, TrapSpan, i);

        if (hole.begin < hole.end) {
            hole.begin &= -page;
            hole.end = (hole.end + page - 1) & -page;
            direct = spans_cut(direct, hole);
        }
    }
    spans_add(trapped, 0, size);
    for (guint i = 0; i < direct->len; i++) {
        trapped = spans_cut(trapped, g_array_index(direct, TrapSpan, i));
    }
    return trapped;
}
