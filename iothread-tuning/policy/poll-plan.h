/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The cheapest way to wait for an event whose gaps are known as a histogram
 *
 * A plan polls at first, then sleeps, polls again around the time at which the
 * event is likely, and at last blocks.  Each part may be empty.
 *
 * Of the thread that runs the event loop, as all of a PollPolicy is.
 */
#ifndef IOTHREAD_TUNING_POLL_PLAN_H
#define IOTHREAD_TUNING_POLL_PLAN_H

#include <stdint.h>

#include "iothread-tuning/policy/gap-histogram.h"
#include "iothread-tuning/policy/wake-latency.h"

typedef struct PollPlan {
    /* Times since the gap began; poll_first <= wake <= poll_last */
    int64_t poll_first;     /* poll until then, 0: not */
    int64_t wake;           /* sleep until then; INT64_MAX: until an event */
    int64_t poll_last;      /* poll until then, and block */
    int64_t typical;        /* median gap */
} PollPlan;

typedef struct PollCosts {
    int64_t max_poll_ns;    /* longest polling in a plan */
    int64_t latency_weight; /* ns of CPU that 1 ns of latency is worth */
    int64_t block_cpu_ns;   /* CPU time of going to sleep and waking */
    const WakeLatency *wake;
} PollCosts;

/**
 * poll_plan_make: the plan with the least expected CPU time + latency_weight x
 * latency for the gaps of @g
 *
 * An empty histogram gives the plan to block.
 */
PollPlan poll_plan_make(const GapHistogram *g, const PollCosts *costs);

#endif /* IOTHREAD_TUNING_POLL_PLAN_H */
