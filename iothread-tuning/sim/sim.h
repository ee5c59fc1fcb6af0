/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A simulator of polling policies: an event loop with a virtual clock
 *
 * The policies are those of QEMU, unchanged.  They see nothing but what the
 * loop tells them through poll-policy.h; only the loop knows when the next
 * event is due.  All times are ns.
 */
#ifndef IOTHREAD_TUNING_SIM_H
#define IOTHREAD_TUNING_SIM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "iothread-tuning/policy/poll-policy.h"

/* What things cost, measured on real hosts and rounded */
#define SIM_BLOCK_NS        2500    /* CPU time of going to sleep and waking */
#define SIM_CHECK_NS        500     /* a ppoll() that does not sleep */
#define SIM_DETECT_NS       150     /* from an event to the poll that sees it */
#define SIM_HANDLE_NS       500     /* handling it, the same for all policies */

#define SIM_WAKE_SHORT_NS   4000    /* latency after a sleep of up to ... */
#define SIM_SLEEP_SHORT_NS  50000
#define SIM_WAKE_MEDIUM_NS  8000
#define SIM_SLEEP_MEDIUM_NS 500000
#define SIM_WAKE_LONG_NS    33000   /* ... and after any longer one */

#define SIM_NEVER           INT64_MAX

/* --- random numbers, the same on every host --- */

typedef struct SimRandom {
    uint64_t state;
} SimRandom;

uint64_t sim_random(SimRandom *r);

/* Evenly from @from to @to */
int64_t sim_random_range(SimRandom *r, int64_t from, int64_t to);

/* --- how long a disk or a guest takes --- */

typedef enum SimShape {
    SIM_STEADY,         /* about the same each time */
    SIM_EVEN,           /* anything from ns to other_ns */
    SIM_EXPONENTIAL,    /* memoryless, mean ns */
    SIM_BIMODAL,        /* other_ns in other_percent of the cases, else ns */
    SIM_PAUSES,         /* ns, and other_ns every so many times (burst) */
} SimShape;

typedef struct SimGaps {
    SimShape shape;
    int64_t ns;
    int64_t other_ns;
    int other_percent;
    unsigned burst;
} SimGaps;

/* @index: how many have been drawn before */
int64_t sim_gaps_draw(const SimGaps *gaps, SimRandom *r, uint64_t index);

/* --- workloads --- */

#define SIM_DEVICES     2
#define SIM_PHASES      8
#define SIM_SLOTS       64

typedef struct SimDeviceSpec {
    SimGaps service[SIM_PHASES];    /* the first ones with ns > 0 */
    SimGaps think;                  /* completion handled to next kick */
    int depth;                      /* requests in flight */
} SimDeviceSpec;

typedef struct SimWorkload {
    const char *name;
    const char *text;
    SimDeviceSpec device[SIM_DEVICES];
    int64_t phase_ns;       /* a phase lasts about so long */
    int64_t timer_ns;       /* a timer that ends waits and does little else */
    unsigned warm_up;       /* requests, then no more; only timers count */
    bool unseen;            /* not used for tuning: only for --check */
} SimWorkload;

extern const SimWorkload sim_workloads[];

const SimWorkload *sim_workload_find(const char *name);

/* --- the events of one run --- */

typedef enum SimKind {
    SIM_KICK,
    SIM_COMPLETION,
    SIM_KINDS
} SimKind;

typedef struct SimSlot {
    int64_t due;            /* its next event */
    SimKind kind;           /* ... and what that is */
    int device;
} SimSlot;

typedef struct SimTraceEvent {
    int64_t ns;             /* since the first one */
    int64_t gap;            /* since the one before was handled */
    SimKind kind;
    int device;
} SimTraceEvent;

typedef struct SimTrace {
    GArray *events;
    bool closed;            /* each event waits for the one before */
} SimTrace;

typedef struct SimDevice {
    SimRandom service, think;
    uint64_t kicks, completions;
    int phase;
    uint64_t phase_end;     /* in kicks */
} SimDevice;

typedef struct SimLoad {
    const SimWorkload *workload;
    const SimTrace *trace;
    unsigned position;      /* of the next event of trace */
    SimDevice device[SIM_DEVICES];
    SimSlot slot[SIM_SLOTS];
    int slots;
    int64_t timer;          /* when it is due */
    uint64_t requests;
} SimLoad;

/* Handlers are numbered; a device has one for each kind of event */
#define SIM_HANDLERS (SIM_DEVICES * SIM_KINDS)

void sim_load_init(SimLoad *load, const SimWorkload *workload, uint64_t seed);
void sim_load_replay(SimLoad *load, const SimTrace *trace);

/**
 * sim_load_next: the earliest event
 * @handler: if not NULL, set to the number of its handler
 *
 * Returns: when it is due, SIM_NEVER if there is none
 */
int64_t sim_load_next(const SimLoad *load, int *handler);

/**
 * sim_load_handle: the earliest event has been handled by @now
 *
 * What follows from it becomes due later on.
 */
void sim_load_handle(SimLoad *load, int64_t now);

/**
 * sim_trace_read: read a recorded trace
 *
 * Lines of "ns kind [source [count]]", where kind is kick (or avail) or
 * completion (or done); # begins a comment.  A trace in which one device's
 * kicks and completions take turns is replayed as a device would behave: each
 * event comes so long after the one before was handled.
 *
 * Returns: false, with a message on stderr, if that fails
 */
bool sim_trace_read(SimTrace *trace, const char *path);

/* --- the event loop --- */

typedef struct SimConfig {
    PollParams params;
    int lambda;             /* ns of CPU that 1 ns of latency is worth */
    uint64_t requests;
    uint64_t seed;
} SimConfig;

/* What decides how to wait */
typedef struct SimPolicy {
    void *opaque;
    int64_t (*begin)(void *opaque, int64_t now, int64_t wanted);
    int64_t (*sleep)(void *opaque, int64_t now);
    /* NULL: not interested */
    void (*waited)(void *opaque, const PollWait *wait);
    void (*event)(void *opaque, PollHandler *handler);
} SimPolicy;

typedef struct SimResult {
    uint64_t units;         /* requests, or periods of the timer */
    int64_t elapsed;
    int64_t polled;
    uint64_t blocks, checks, timed_sleeps, events;
    int64_t added;          /* events' latencies, in all */
    uint64_t faults;        /* answers out of range */
} SimResult;

SimResult sim_run(const SimConfig *config, SimLoad *load,
                  const SimPolicy *policy);

/* CPU time of waiting, without that of handling events */
int64_t sim_result_cpu(const SimResult *result);

/* us per request: CPU + lambda x added latency */
double sim_result_cost(const SimResult *result, int lambda);

/* The latency of a wakeup after @slept ns */
int64_t sim_wake_latency(int64_t slept);

/* --- clairvoyance, to compare with --- */

typedef struct SimOracle {
    const SimLoad *load;
    int64_t max_ns;
    int lambda;
} SimOracle;

/**
 * sim_oracle: the cheapest choice for each wait, knowing the next event
 *
 * To block at once, to poll until the event, or to poll for a while and then
 * block.
 */
SimPolicy sim_oracle(SimOracle *oracle, const SimConfig *config,
                     const SimLoad *load);

/* --- knowing how long gaps are on the whole --- */

#define SIM_SAMPLES 320

/* Times since the gap began */
typedef struct SimPlan {
    int64_t first;          /* poll until then, 0: not */
    int64_t wake;           /* end of the sleep; SIM_NEVER: the event's */
    int64_t last;           /* poll until then, and block */
} SimPlan;

typedef struct SimInformed {
    const SimLoad *load;
    int64_t max_ns;
    int lambda;
    SimPlan service[SIM_PHASES], think;
    bool over;              /* the next wait begins a gap */
    bool slept;
    int64_t start;          /* of the gap */
} SimInformed;

/**
 * sim_informed: the best fixed plan for each kind of gap
 *
 * Returns: false if @load is not one device with one request at a time
 */
bool sim_informed(SimInformed *informed, SimPolicy *policy,
                  const SimConfig *config, const SimLoad *load);

/* --- comparing and reporting --- */

enum {
    SIM_OFF = POLL_POLICY__MAX,
    SIM_OPTIMUM,            /* offline, without timed sleeps */
    SIM_INFORMED,           /* knows distributions, not gaps */
    SIM_CONTENDERS
};

typedef struct SimRow {
    const char *workload;
    SimConfig config;
    SimResult result[SIM_CONTENDERS];
    bool known[SIM_CONTENDERS];
} SimRow;

extern const char *const sim_contenders[SIM_CONTENDERS];

/* @trace: NULL, or instead of @workload */
SimRow sim_compare(const SimConfig *config, const SimWorkload *workload,
                   const SimTrace *trace);

double sim_row_cost(const SimRow *row, int contender);
double sim_row_ratio(const SimRow *row, int contender, int reference);

typedef struct SimSummary {
    double mean, worst;     /* geometric mean */
    const SimRow *worst_row;
    int rows;
    uint64_t faults;
} SimSummary;

/* Of the rows in which both are known */
SimSummary sim_summarize(const SimRow *rows, int n, int contender,
                         int reference);

/* One line for each contender of each row, and one for each contender */
void sim_print(const SimRow *rows, int n);

/**
 * sim_check: predictive against the limits, on many workloads
 *
 * Returns: false if it breaks one of them
 */
bool sim_check(const SimConfig *config);

#endif /* IOTHREAD_TUNING_SIM_H */
