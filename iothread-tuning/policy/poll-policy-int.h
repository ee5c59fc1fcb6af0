/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What the polling policies share, not for their users
 *
 * Of the thread that runs the event loop, as all of a PollPolicy is.
 */
#ifndef IOTHREAD_TUNING_POLL_POLICY_INT_H
#define IOTHREAD_TUNING_POLL_POLICY_INT_H

#include "iothread-tuning/policy/poll-budget.h"
#include "iothread-tuning/policy/poll-policy.h"
#include "iothread-tuning/policy/wake-latency.h"

struct PollPolicy {
    const PollPolicyOps *ops;
    void *state;                /* the policy's own */
    PollParams params;
    PollCounts counts;

    /* A gap is the time from one event to the next, over many waits */
    bool gap_over;              /* the next wait begins a new one */
    int64_t gap_start;          /* when its first wait began */
    int64_t gap_polled;         /* ns polled in it */
    bool sleep_over;            /* a sleep in it ran into its limit, or was 0 */

    int64_t now;                /* of the present wait's latest step */
    int64_t sleep_limit;        /* what poll_policy_sleep() answered */
    bool may_poll;              /* neither yielding nor out of budget */
    PollWait wait;              /* the latest one */

    int64_t block_cpu_ns;       /* CPU time of a block, smoothed */
    WakeLatency wake;
    PollBudget budget;
    PollYield yield;
};

/* How long the gap has lasted */
static inline int64_t poll_gap_elapsed(const PollPolicy *p)
{
    return p->now - p->gap_start;
}

/**
 * poll_gap_sample: the length of the gap that the latest wait ended
 *
 * As near as can be known to when the event happened: if it woke the thread,
 * without the time that waking takes.
 */
int64_t poll_gap_sample(const PollPolicy *p);

#endif /* IOTHREAD_TUNING_POLL_POLICY_INT_H */
