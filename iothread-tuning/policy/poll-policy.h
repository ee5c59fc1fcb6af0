/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Polling policies: how long an event loop polls, sleeps and polls again
 * before it blocks
 *
 * A policy knows no event loop: it is told the time and what happened, and
 * answers with times.  QEMU's AioContext, the simulator and the unit tests
 * drive the same code.  A wait runs like this:
 *
 *     poll = poll_policy_begin(p, now, wanted);      // "poll that long"
 *     ... poll handlers for up to poll ns, which may hit ...
 *     sleep = poll_policy_sleep(p, now);             // "sleep that long"
 *     ... block for up to sleep ns, or without limit if it is -1 ...
 *     poll_policy_waited(p, &wait);                  // "this came of it"
 *     for each handler that had an event:
 *         poll_policy_event(p, handler);
 *
 * and is repeated at once when the sleep ended with no event: the policy
 * remembers how long the present gap between events has lasted.
 *
 * Times are ns of one monotonic clock.
 *
 * Threads: everything here belongs to the thread that runs the event loop, and
 * nothing is shared.  Parameters from other threads reach it by way of the
 * event loop, see aio-policy.h.
 */
#ifndef IOTHREAD_TUNING_POLL_POLICY_H
#define IOTHREAD_TUNING_POLL_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* The order is that of the QAPI enum IOThreadPollPolicy */
typedef enum PollPolicyKind {
    POLL_POLICY_CLASSIC,
    POLL_POLICY_WEIGHTED,
    POLL_POLICY_PREDICTIVE,
    POLL_POLICY__MAX
} PollPolicyKind;

#define POLL_MAX_NS_LIMIT           1000000000  /* 1 s */
#define POLL_FACTOR_LIMIT           1000        /* poll-grow, poll-shrink */
#define POLL_WEIGHT_LIMIT           63
#define POLL_WEIGHT_DEFAULT         3
#define POLL_LATENCY_WEIGHT_LIMIT   1000
#define POLL_LATENCY_WEIGHT_DEFAULT 5
#define POLL_CPU_LIMIT_LIMIT        100

typedef struct PollParams {
    PollPolicyKind kind;
    int64_t max_ns;         /* longest polling per gap, 0: never poll */
    int64_t grow;           /* classic: factor, 0: 2 */
    int64_t shrink;         /* classic: divisor, 0: stop polling */
    int64_t weight;         /* weighted: log2 of the samples averaged over */
    int64_t latency_weight; /* predictive: ns of CPU that 1 ns is worth */
    int64_t cpu_limit;      /* % of time polled in vain, 0: no limit */
} PollParams;

/**
 * poll_params_valid: are all of @params within their ranges?
 */
bool poll_params_valid(const PollParams *params);

/* What a policy keeps for a handler; all zero but @source is a new one */
typedef struct PollHandler {
    uint64_t source;        /* caller's: who it is, 0: cannot be told */
    int64_t ns;             /* classic, weighted: polling time wanted */
    int64_t mean;           /* weighted: of the gaps that it ended */
    int64_t deviation;      /* weighted: mean absolute deviation of those */
    uint64_t last_event;    /* weighted: number of its latest event */
    uint64_t id;            /* predictive: 1.., 0: none given yet */
    uint32_t slot;          /* predictive: where its predictor was last seen */
} PollHandler;

/*
 * A handler that is removed and comes back, as all do when a disk is drained,
 * is a new PollHandler.  Predictors find it again by its @source, which
 * therefore never is that of another one, not even after it has gone for good.
 */

/* What became of one wait */
typedef struct PollWait {
    int64_t now;            /* when it ended */
    int64_t total_ns;       /* since poll_policy_begin() */
    int64_t polled_ns;      /* part of it spent polling */
    int64_t slept_ns;       /* part of it spent blocked in the kernel */
    int64_t sleep_limit;    /* timeout of the block, -1: none */
    bool polled;            /* it polled */
    bool hit;               /* ... and found an event */
    bool slept;             /* it blocked, with a timeout other than 0 */
    bool woken;             /* ... and a file descriptor ended that */
} PollWait;

/* Figures for statistics */
typedef struct PollCounts {
    uint64_t timed_sleeps;  /* sleeps that the policy put a limit on */
    uint64_t timed_wakeups; /* ... and which ended by it: polled afterwards */
    uint64_t replans;       /* predictive: times a plan was worked out */
    uint64_t yields;        /* times polling gave way on a busy host */
    uint64_t cpu_limited;   /* polls cut short by poll-cpu-limit */
    /* Estimates of this moment, ns */
    uint64_t wake_latency;  /* after a sleep of typical length */
    uint64_t block_cpu;     /* CPU time of a block */
} PollCounts;

typedef struct PollPolicy PollPolicy;

/**
 * PollPolicyOps: one policy
 *
 * Every callback runs in the event loop's thread.
 */
typedef struct PollPolicyOps {
    const char *name;

    /* Size of the policy's own state, allocated zeroed, 0: none */
    unsigned state_size;

    /* Events tell PollHandler.ns, and begin() wants the maximum of them */
    bool uses_handler_ns;

    /*
     * All as stock's loop has it: every wakeup is an event, also those by
     * eventfds that polling left set, and a busy host makes no difference
     */
    bool stock;

    /* Start afresh, and free what the state points to */
    void (*reset)(PollPolicy *p);

    /* See poll_policy_begin(); poll-max-ns is kept by the caller */
    int64_t (*begin)(PollPolicy *p, int64_t wanted);

    /* See poll_policy_sleep(); NULL: never any limit */
    int64_t (*sleep)(PollPolicy *p);

    /* See poll_policy_event() */
    void (*event)(PollPolicy *p, PollHandler *h);
} PollPolicyOps;

extern const PollPolicyOps poll_classic_ops;
extern const PollPolicyOps poll_weighted_ops;
extern const PollPolicyOps poll_predictive_ops;

/**
 * poll_policy_new: a policy with classic's defaults and poll-max-ns 0
 */
PollPolicy *poll_policy_new(void);

void poll_policy_free(PollPolicy *p);

/**
 * poll_policy_set: take over @params, each within its range
 *
 * What was learned is forgotten, as it is for classic in QEMU: the counts stay.
 * Handlers' own state is the caller's: it zeroes every PollHandler but for
 * @source.
 */
void poll_policy_set(PollPolicy *p, const PollParams *params);

const PollParams *poll_policy_params(const PollPolicy *p);
const PollCounts *poll_policy_counts(const PollPolicy *p);
const PollPolicyOps *poll_policy_ops(const PollPolicy *p);

/**
 * poll_policy_begin: a wait begins
 * @now: the time
 * @wanted: the maximum of PollHandler.ns of the handlers that are polled;
 *          anything for policies that do not use it
 *
 * Returns: how long to poll for before anything else, 0 to poll-max-ns
 */
int64_t poll_policy_begin(PollPolicy *p, int64_t now, int64_t wanted);

/**
 * poll_policy_sleep: the loop found nothing, and is about to block
 * @now: the time
 *
 * Returns: how long to block at most before a new wait is begun even if there
 * was no event, or -1 for no limit
 */
int64_t poll_policy_sleep(PollPolicy *p, int64_t now);

/**
 * poll_policy_waited: the wait is over, with or without an event
 */
void poll_policy_waited(PollPolicy *p, const PollWait *wait);

/**
 * poll_policy_event: @h had an event in the wait just told
 *
 * Called once for each such handler, after poll_policy_waited().
 */
void poll_policy_event(PollPolicy *p, PollHandler *h);

/**
 * poll_policy_block_cost: a block was measured to cost @cpu_ns of CPU
 *
 * Optional; policies that care assume 2.5 us until told.
 */
void poll_policy_block_cost(PollPolicy *p, int64_t cpu_ns);

/**
 * poll_policy_sched: how the host's scheduler has treated the thread
 * @now: the time
 * @switches: involuntary context switches since the thread started
 * @run_delay: ns spent runnable and not running since it started; 0 if unknown
 *
 * Wanted about every POLL_SCHED_INTERVAL_NS while the loop polls; see
 * poll_policy_wants_sched().
 */
void poll_policy_sched(PollPolicy *p, int64_t now,
                       uint64_t switches, uint64_t run_delay);

#define POLL_SCHED_INTERVAL_NS 10000000

/**
 * poll_policy_wants_sched: is it time for a poll_policy_sched()?
 */
bool poll_policy_wants_sched(const PollPolicy *p, int64_t now);

#endif /* IOTHREAD_TUNING_POLL_POLICY_H */
