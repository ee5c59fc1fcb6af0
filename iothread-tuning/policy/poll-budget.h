/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Limits on polling: a share of a CPU, and giving way on a busy host
 *
 * Of the thread that runs the event loop, as all of a PollPolicy is.
 */
#ifndef IOTHREAD_TUNING_POLL_BUDGET_H
#define IOTHREAD_TUNING_POLL_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* The budget saves up what it is given in this time, and no more */
#define POLL_BUDGET_BURST_NS    100000000

/* Polls shorter than this find nothing that is worth their entry */
#define POLL_BUDGET_MIN_NS      1000

/* A token bucket of time that may be polled in vain */
typedef struct PollBudget {
    int64_t limit;      /* % of a CPU, 0: no limit */
    int64_t tokens;     /* ns left; negative after a poll that ran over */
    int64_t filled;     /* when tokens was brought up to date, 0: never */
} PollBudget;

void poll_budget_reset(PollBudget *b, int64_t limit);

/**
 * poll_budget_allow: how much of @ns of polling there is budget for at @now
 */
int64_t poll_budget_allow(PollBudget *b, int64_t now, int64_t ns);

/**
 * poll_budget_left: was there any budget when it was last looked at?
 */
static inline bool poll_budget_left(const PollBudget *b)
{
    return !b->limit || !b->filled || b->tokens >= POLL_BUDGET_MIN_NS;
}

/**
 * poll_budget_spend: @ns were polled in vain
 */
void poll_budget_spend(PollBudget *b, int64_t ns);

/*
 * Whether others want the CPU.  A polling thread is always runnable: what it
 * waits in the run queue, and how often the scheduler takes the CPU from it,
 * is what it takes from others.  Polling then pauses, for twice as long each
 * time that it meets the same again, and the pauses halve when it does not.
 */
typedef struct PollYield {
    int64_t sampled;            /* when, 0: not since it last polled */
    uint64_t switches;          /* totals of that time */
    uint64_t run_delay;
    int64_t polled_ns;          /* since then */
    unsigned pressure;          /* smoothed run queue wait, 1/1000 */
    unsigned level;             /* log2 of the next pause / the shortest */
    unsigned calm;              /* samples in a row without pressure */
    int64_t until;              /* no polling before */
} PollYield;

#define POLL_YIELD_MIN_NS       20000000    /* the shortest pause */
#define POLL_YIELD_MAX_LEVEL    6           /* the longest: 1.28 s */
#define POLL_YIELD_PRESSURE     100         /* 10 % of the time */

void poll_yield_reset(PollYield *y);

/**
 * poll_yield_polled: the thread polled for @ns
 */
static inline void poll_yield_polled(PollYield *y, int64_t ns)
{
    y->polled_ns += ns;
}

static inline bool poll_yield_paused(const PollYield *y, int64_t now)
{
    return now < y->until;
}

/**
 * poll_yield_sample: the scheduler's totals for the thread at @now
 * @switches: involuntary context switches
 * @run_delay: ns waited in the run queue, 0 where the kernel does not tell
 *
 * Returns: true if polling pauses from now on
 */
bool poll_yield_sample(PollYield *y, int64_t now,
                       uint64_t switches, uint64_t run_delay);

#endif /* IOTHREAD_TUNING_POLL_BUDGET_H */
