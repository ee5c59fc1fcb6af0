/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * How long it takes to wake the thread, learned from sleeps with a time limit
 *
 * A CPU that has been idle for longer is in a deeper idle state and wakes more
 * slowly, so the latency is kept by length of sleep.
 *
 * Of the thread that runs the event loop, as all of a PollPolicy is.
 */
#ifndef IOTHREAD_TUNING_WAKE_LATENCY_H
#define IOTHREAD_TUNING_WAKE_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

/* Sleeps below 16 us, 64 us, 256 us, 1 ms, 4 ms, and longer */
#define WAKE_LATENCY_CLASSES 6

typedef struct WakeLatencyClass {
    int64_t mean;           /* ns late, smoothed */
    int64_t deviation;      /* mean absolute deviation from it */
    unsigned samples;       /* 0: not measured */
    unsigned age;           /* sleeps since the last sample */
    int64_t measured_at;    /* when that came */
} WakeLatencyClass;

typedef struct WakeLatency {
    WakeLatencyClass classes[WAKE_LATENCY_CLASSES];
    bool measured;          /* any of them */
    /* Estimates for all of them: their own, or of the measured one nearest */
    int64_t mean[WAKE_LATENCY_CLASSES];
    int64_t margin[WAKE_LATENCY_CLASSES];
    unsigned generation;    /* changes when an estimate has moved a lot */
    int64_t told[WAKE_LATENCY_CLASSES]; /* means at that time */
} WakeLatency;

/**
 * wake_latency_sample: a sleep limited to @limit ns ended @late ns after that,
 * at the time @now
 */
void wake_latency_sample(WakeLatency *w, int64_t now, int64_t limit,
                         int64_t late);

/**
 * wake_latency_slept: a sleep ended that measured nothing
 */
void wake_latency_slept(WakeLatency *w);

/**
 * wake_latency_due: are sleeps of about @ns in need of a new measurement?
 */
bool wake_latency_due(const WakeLatency *w, int64_t ns);

/**
 * wake_latency_stale: is the last measurement of sleeps of about @ns so long
 * ago at the time @now that a loop that no longer sleeps should try again?
 */
bool wake_latency_stale(const WakeLatency *w, int64_t now, int64_t ns);

/**
 * wake_latency_mean: ns from an event to the thread's running, on average,
 * after a sleep of @ns
 */
int64_t wake_latency_mean(const WakeLatency *w, int64_t ns);

/**
 * wake_latency_limit: how long to sleep in order to run again @ns from now, but
 * for a few times; 0 or less if there is no time to sleep
 */
int64_t wake_latency_limit(const WakeLatency *w, int64_t ns);

#endif /* IOTHREAD_TUNING_WAKE_LATENCY_H */
