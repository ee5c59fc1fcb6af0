/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#ifndef NATIVE_UNIT_TEST
#include "qemu/osdep.h"
#endif
#include <glib.h>
#include <string.h>
#include <time.h>
#include "iothread-tuning/loop/tick-clock.h"

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/" \
                    "current_clocksource"
#define CALIBRATION_NS 1000000000
#define CALIBRATION_MAX_NS (10ll * CALIBRATION_NS)
#define BRACKET_NS 5000     /* a reading that took longer was interrupted */
#define READINGS 5

uint64_t tick_clock_known_scale;

static uint64_t monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

uint64_t tick_clock_scale(uint64_t ns, uint64_t ticks)
{
#if TICK_CLOCK_COUNTER
    unsigned __int128 scale = ticks ? ((unsigned __int128)ns << 32) / ticks : 0;

    return scale >> 64 ? 0 : scale;
#else
    return 0;
#endif
}

/* Does the kernel keep time with the counter that tick_clock_ticks() reads? */
#if TICK_CLOCK_COUNTER
static bool counter_is_reliable(void)
{
#if defined(__x86_64__)
    g_autofree char *name = NULL;

    return g_file_get_contents(CLOCKSOURCE, &name, NULL, NULL) &&
           !strcmp(g_strstrip(name), "tsc");
#else
    return true;
#endif
}

typedef struct Reading {
    uint64_t ticks;
    uint64_t ns;
    uint64_t bracket;       /* ticks during which the clock was read */
} Reading;

/* The counter and the clock at the same moment, as near as some tries get */
static Reading read_both(void)
{
    Reading best = { .bracket = UINT64_MAX };

    for (int i = 0; i < READINGS; i++) {
        uint64_t before = tick_clock_ticks();
        uint64_t ns = monotonic_ns();
        uint64_t bracket = tick_clock_ticks() - before;

        if (bracket < best.bracket) {
            best = (Reading) {
                .ticks = before + bracket / 2, .ns = ns, .bracket = bracket,
            };
        }
    }
    return best;
}

/*
 * Compares the counter with the clock over one second at least.  Each thread
 * has a beginning of its own, and takes a new one if it slept for long or the
 * counter was set back: a suspend in between would make a wrong scale.
 */
static void calibrate(void)
{
    static __thread Reading base;
    uint64_t elapsed = monotonic_ns() - base.ns;
    uint64_t scale, none = 0;
    Reading now;

    if (!base.ns || elapsed > CALIBRATION_MAX_NS ||
        tick_clock_ticks() < base.ticks) {
        base = read_both();
        return;
    }
    if (elapsed < CALIBRATION_NS) {
        return;
    }
    now = read_both();
    scale = tick_clock_scale(now.ns - base.ns, now.ticks - base.ticks);
    if (tick_clock_convert(MAX(now.bracket, base.bracket), scale) <
        BRACKET_NS) {
        /* The first one stays: another's would differ in the last digits */
        __atomic_compare_exchange_n(&tick_clock_known_scale, &none, scale,
                                    false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
}
#endif

uint64_t tick_clock_slow(void)
{
#if TICK_CLOCK_COUNTER
    enum { UNKNOWN, RELIABLE, UNUSABLE };
    static gsize state = UNKNOWN;

    if (g_once_init_enter(&state)) {
        g_once_init_leave(&state,
                          counter_is_reliable() ? RELIABLE : UNUSABLE);
    }
    if (state == RELIABLE) {
        calibrate();
    }
#endif
    return monotonic_ns();
}
