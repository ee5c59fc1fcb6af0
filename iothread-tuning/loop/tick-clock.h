/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Time spans in ns that cost a few instructions to measure
 *
 * clock_gettime() takes some 60 instructions even in the vDSO, which is more
 * than all the statistics of an event loop's iteration.  Where the kernel
 * itself keeps time with the CPU's counter (x86: clocksource tsc; aarch64: the
 * architected counter, always) the counter is read directly and scaled.  The
 * scale comes from comparing it with CLOCK_MONOTONIC over the first second.
 * Until then, and where the counter can't be trusted, it is clock_gettime().
 *
 * A span may be off by some millionths, since NTP adjusts CLOCK_MONOTONIC.
 *
 * Threads: any thread may measure.  The scale is set once.  A span that began
 * before it was known ends as it began.
 */
#ifndef IOTHREAD_TUNING_TICK_CLOCK_H
#define IOTHREAD_TUNING_TICK_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__) || defined(__aarch64__)
#define TICK_CLOCK_COUNTER 1
#else
#define TICK_CLOCK_COUNTER 0
#endif

typedef struct TickSpan {
    uint64_t start;         /* in ticks, or in ns if scale is 0 */
    uint64_t scale;         /* ns per tick, 32.32 fixed point */
} TickSpan;

extern uint64_t tick_clock_known_scale; /* 0 until it is known */

/* Reads CLOCK_MONOTONIC, in ns, and works towards the scale */
uint64_t tick_clock_slow(void);

/**
 * tick_clock_scale: ns per tick as 32.32 fixed point
 *
 * Returns: 0 if there is none: @ticks is 0, or the scale does not fit
 */
uint64_t tick_clock_scale(uint64_t ns, uint64_t ticks);

static inline uint64_t tick_clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;

    asm volatile("mrs %0, cntvct_el0" : "=r" (ticks));
    return ticks;
#else
    return 0;
#endif
}

static inline int64_t tick_clock_convert(uint64_t ticks, uint64_t scale)
{
#if TICK_CLOCK_COUNTER
    return (unsigned __int128)ticks * scale >> 32;
#else
    return 0;
#endif
}

static inline TickSpan tick_span_begin(void)
{
    uint64_t scale = TICK_CLOCK_COUNTER ?
        __atomic_load_n(&tick_clock_known_scale, __ATOMIC_RELAXED) : 0;

    return (TickSpan) {
        .start = __builtin_expect(scale != 0, 1) ? tick_clock_ticks()
                                                 : tick_clock_slow(),
        .scale = scale,
    };
}

/**
 * tick_span_until: the ns from the beginning of @span to @end, which is in
 * the unit of its start; 0 if the counter was set back since then, as it is
 * when the machine, or the virtual machine we are in, was suspended
 */
static inline int64_t tick_span_until(TickSpan span, uint64_t end)
{
    int64_t ticks = end - span.start;

    if (__builtin_expect(ticks < 0, 0)) {
        return 0;
    }
    return span.scale ? tick_clock_convert(ticks, span.scale) : ticks;
}

/**
 * tick_span_ns: the ns that have passed since tick_span_begin() gave @span
 */
static inline int64_t tick_span_ns(TickSpan span)
{
    bool fast = __builtin_expect(span.scale != 0, 1);

    return tick_span_until(span, fast ? tick_clock_ticks()
                                      : tick_clock_slow());
}

#endif /* IOTHREAD_TUNING_TICK_CLOCK_H */
