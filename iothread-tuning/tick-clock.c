/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#ifndef NATIVE_UNIT_TEST
#include "qemu/osdep.h"
#endif
#include <glib.h>
#include <string.h>
#include <time.h>
#include "iothread-tuning/tick-clock.h"

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/" \
                    "current_clocksource"
#define CALIBRATION_NS 100000000

TickClock tick_clock;

static int64_t monotonic_ns(void)
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
static bool counter_is_reliable(void)
{
#if defined(__x86_64__)
    g_autofree char *name = NULL;

    return g_file_get_contents(CLOCKSOURCE, &name, NULL, NULL) &&
           !strcmp(g_strstrip(name), "tsc");
#else
    return TICK_CLOCK_COUNTER;
#endif
}

/* The counter and the clock, read close together */
static int64_t read_both(uint64_t *ticks)
{
    uint64_t before = tick_clock_ticks();
    int64_t ns = monotonic_ns();

    *ticks = before + (tick_clock_ticks() - before) / 2;
    return ns;
}

int64_t tick_clock_slow(void)
{
    enum { UNKNOWN, CALIBRATING, UNUSABLE };
    static gsize state = UNKNOWN;
    uint64_t ticks, scale;
    int64_t ns;

    if (g_once_init_enter(&state)) {
        bool reliable = counter_is_reliable();

        tick_clock.base_ns = read_both(&tick_clock.base_ticks);
        g_once_init_leave(&state, reliable ? CALIBRATING : UNUSABLE);
    }
    ns = read_both(&ticks);
    if (state == UNUSABLE || ns - tick_clock.base_ns < CALIBRATION_NS) {
        return ns;
    }

    scale = tick_clock_scale(ns - tick_clock.base_ns,
                             ticks - tick_clock.base_ticks);
    if (scale) {
        uint64_t none = 0;

        /* The first one stays: others differ in the last digits */
        __atomic_compare_exchange_n(&tick_clock.scale, &none, scale, false,
                                    __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    }
    return ns;
}
