/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A monotonic clock in ns that costs a few instructions to read
 *
 * clock_gettime() takes some 60 instructions even in the vDSO, which is more
 * than all the statistics of an event loop's iteration.  Where the kernel
 * itself keeps time with the CPU's counter (x86: clocksource tsc; aarch64: the
 * architected counter, always) the counter is read directly and scaled.  The
 * scale comes from comparing it with CLOCK_MONOTONIC over the first 100 ms.
 * Until then, and where the counter can't be trusted, it is clock_gettime().
 *
 * For differences only: over long times it drifts from CLOCK_MONOTONIC by about
 * a millionth, since NTP adjusts that one.
 *
 * Threads: any thread may call it.  The scale is set once.
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

typedef struct TickClock {
    uint64_t scale;         /* ns per tick, 32.32 fixed point; 0: not known */
    uint64_t base_ticks;    /* valid once scale is set */
    int64_t base_ns;        /* likewise */
} TickClock;

extern TickClock tick_clock;

/* Reads CLOCK_MONOTONIC and works towards the scale */
int64_t tick_clock_slow(void);

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

/**
 * tick_clock_ns: the present time in ns since some moment in the past
 */
static inline int64_t tick_clock_ns(void)
{
    uint64_t scale = TICK_CLOCK_COUNTER ?
                     __atomic_load_n(&tick_clock.scale, __ATOMIC_ACQUIRE) : 0;

    if (__builtin_expect(!scale, 0)) {
        return tick_clock_slow();
    }
    return tick_clock.base_ns +
           tick_clock_convert(tick_clock_ticks() - tick_clock.base_ticks,
                              scale);
}

#endif /* IOTHREAD_TUNING_TICK_CLOCK_H */
