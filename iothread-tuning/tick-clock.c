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
static uint64_t read_both(uint64_t *ticks)
{
    uint64_t before = tick_clock_ticks();
    uint64_t ns = monotonic_ns();

    *ticks = before + (tick_clock_ticks() - before) / 2;
    return ns;
}

uint64_t tick_clock_slow(void)
{
    enum { UNKNOWN, CALIBRATING, UNUSABLE };
    static gsize state = UNKNOWN;
    static uint64_t base_ticks, base_ns;    /* set before state */
    uint64_t ticks, ns, scale, none = 0;

    if (g_once_init_enter(&state)) {
        base_ns = read_both(&base_ticks);
        g_once_init_leave(&state,
                          counter_is_reliable() ? CALIBRATING : UNUSABLE);
    }
    ns = read_both(&ticks);
    if (state == UNUSABLE || ns - base_ns < CALIBRATION_NS) {
        return ns;
    }

    /* The first one stays: another's would differ in the last digits */
    scale = tick_clock_scale(ns - base_ns, ticks - base_ticks);
    __atomic_compare_exchange_n(&tick_clock_known_scale, &none, scale, false,
                                __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return ns;
}
