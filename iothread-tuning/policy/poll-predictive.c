/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A polling policy that expects what followed the same event before
 *
 * The loop does not know which event comes next, but it knows which came last:
 * a completion follows a kick by the latency of the disk, a kick follows a
 * completion by the time the guest takes.  So each handler has a histogram of
 * the gaps that followed its events, and from time to time a plan is made from
 * it: poll, sleep, poll again, block, see poll-plan.h.
 */
#include "qemu/osdep.h"
#include "iothread-tuning/policy/poll-plan.h"
#include "iothread-tuning/policy/poll-policy-int.h"

/*
 * So many are remembered, those of removed handlers too; beyond that, the one
 * that was not used for the longest time is given away
 */
#define PREDICTORS          1024

/* Keys of handlers whose source is not known begin here */
#define KEY_ANONYMOUS       (1ull << 63)

/*
 * Samples between two plans: at first, and when a load has been known longer,
 * then if they took this long, or else so many
 */
#define REPLAN_MIN          4
#define REPLAN_OFTEN        64
#define REPLAN_NS           1000000
#define REPLAN_MAX          512

/* So many more surprises than every sixteenth gap: the load has changed */
#define SURPRISE_MAX        4
#define SURPRISE_ONE        16

/* The shortest sleep that measures how long waking takes */
#define PROBE_MIN_NS        4000

typedef struct Predictor {
    GapHistogram gaps;
    PollPlan plan;
    unsigned wake_generation;   /* of the wake latencies of the plan */
    int64_t planned;            /* when */
    int64_t used;               /* when it was last the current one */
    int samples;                /* since then */
    int replan_after;           /* samples until the next plan */
    int surprise;               /* in 1 / SURPRISE_ONE */
} Predictor;

typedef struct PredictiveState {
    Predictor *predictor[PREDICTORS];
    uint64_t key[PREDICTORS];   /* whose each is */
    unsigned predictors;        /* so many of them */
    Predictor *current;         /* of the handler that had the latest event */
    uint64_t last_id;
} PredictiveState;

static void predictor_reset(Predictor *pr)
{
    *pr = (Predictor) {
        .replan_after = REPLAN_MIN,
    };
    gap_histogram_reset(&pr->gaps);
}

static void poll_predictive_reset(PollPolicy *p)
{
    PredictiveState *s = p->state;

    for (unsigned i = 0; i < s->predictors; i++) {
        g_clear_pointer(&s->predictor[i], g_free);
    }
    s->predictors = 0;
    s->current = NULL;
}

/* How to wait for what follows the latest event, NULL: nothing known yet */
static const PollPlan *predictive_plan(const PollPolicy *p)
{
    const PredictiveState *s = p->state;

    return s->current && s->current->plan.typical ? &s->current->plan : NULL;
}

/* All polling of a gap together stays within poll-max-ns */
static int64_t predictive_poll(const PollPolicy *p, int64_t until)
{
    return MIN(until - poll_gap_elapsed(p), p->params.max_ns - p->gap_polled);
}

/* How long to sleep so that the thread runs in time, 0 or less: not at all */
static int64_t predictive_sleep(const PollPolicy *p, const PollPlan *plan)
{
    return wake_latency_limit(&p->wake, plan->wake - poll_gap_elapsed(p));
}

/*
 * A loop that polls all the time never sees how long waking takes, and goes on
 * doing so when that has changed: it sleeps to find out, as long as a plan
 * would.
 *
 * Returns: how long, 0 if it is not yet time for that
 */
static int64_t predictive_recheck(const PollPolicy *p, const PollPlan *plan)
{
    int64_t ns = (plan->typical - poll_gap_elapsed(p)) * 2 / 3;

    return ns >= PROBE_MIN_NS && wake_latency_stale(&p->wake, p->now, ns) ?
           ns : 0;
}

/* A sleep without limit is given one now and then, to measure the wakeup */
static int64_t predictive_probe(const PollPolicy *p, const PollPlan *plan)
{
    int64_t again = predictive_recheck(p, plan);
    int64_t ns = (plan->typical - poll_gap_elapsed(p)) / 2;

    if (again) {
        return again;
    }
    return ns >= PROBE_MIN_NS && wake_latency_due(&p->wake, ns) ? ns : -1;
}

/* Poll first, or sleep first, or poll after the sleep, or block */
static int64_t poll_predictive_begin(PollPolicy *p, int64_t wanted)
{
    const PollPlan *plan = predictive_plan(p);
    bool sleeps;

    if (!plan) {
        return 0;
    }
    sleeps = plan->wake != INT64_MAX;
    if (poll_gap_elapsed(p) < plan->poll_first) {
        return !sleeps && !p->sleep_over && predictive_recheck(p, plan) ?
               0 : predictive_poll(p, plan->poll_first);
    }
    if (!sleeps || (!p->sleep_over && predictive_sleep(p, plan) > 0)) {
        return 0;
    }
    return predictive_poll(p, plan->poll_last);
}

static int64_t poll_predictive_sleep(PollPolicy *p)
{
    const PollPlan *plan = predictive_plan(p);

    if (!plan || p->sleep_over) {
        return -1;
    }
    if (plan->wake == INT64_MAX || poll_gap_elapsed(p) >= plan->wake) {
        return predictive_probe(p, plan);
    }
    /* 0 if it is too late to sleep: the loop asks again, and polls */
    return MAX(predictive_sleep(p, plan), 0);
}

static void predictor_plan(PollPolicy *p, Predictor *pr)
{
    PollCosts costs = {
        .max_poll_ns = p->params.max_ns,
        .latency_weight = p->params.latency_weight,
        .block_cpu_ns = p->block_cpu_ns,
        .wake = &p->wake,
    };

    pr->plan = poll_plan_make(&pr->gaps, &costs);
    pr->wake_generation = p->wake.generation;
    pr->samples = 0;
    pr->planned = p->now;
    pr->replan_after = MIN(pr->replan_after * 2, REPLAN_OFTEN);
    p->counts.replans++;
}

/* The load has changed: what was learned from the old one is in the way */
static void predictor_surprised(Predictor *pr)
{
    gap_histogram_forget(&pr->gaps);
    pr->surprise = 0;
    pr->replan_after = REPLAN_MIN;
}

/* Planning takes up to some microseconds, so not too often in fast loads */
static bool predictor_wants_plan(const PollPolicy *p, const Predictor *pr)
{
    if (pr->samples < pr->replan_after) {
        return pr->wake_generation != p->wake.generation;
    }
    return pr->replan_after < REPLAN_OFTEN || pr->samples >= REPLAN_MAX ||
           p->now - pr->planned >= REPLAN_NS;
}

static void predictor_learn(PollPolicy *p, Predictor *pr, int64_t gap)
{
    if (gap_histogram_add(&pr->gaps, gap)) {
        pr->surprise += SURPRISE_ONE;
    } else {
        pr->surprise -= pr->surprise > 0;
    }
    pr->samples++;
    if (pr->surprise >= SURPRISE_MAX * SURPRISE_ONE) {
        predictor_surprised(pr);
        predictor_plan(p, pr);
    } else if (predictor_wants_plan(p, pr)) {
        predictor_plan(p, pr);
    }
}

static unsigned predictive_oldest(const PredictiveState *s)
{
    unsigned oldest = s->predictor[0] == s->current;

    for (unsigned i = oldest + 1; i < s->predictors; i++) {
        if (s->predictor[i]->used < s->predictor[oldest]->used &&
            s->predictor[i] != s->current) {
            oldest = i;
        }
    }
    return oldest;
}

static unsigned predictive_add(PredictiveState *s, uint64_t key)
{
    unsigned i;

    if (s->predictors < PREDICTORS) {
        i = s->predictors++;
        s->predictor[i] = g_new(Predictor, 1);
    } else {
        i = predictive_oldest(s);
    }
    predictor_reset(s->predictor[i]);
    s->key[i] = key;
    return i;
}

static unsigned predictive_find(PredictiveState *s, uint64_t key)
{
    for (unsigned i = 0; i < s->predictors; i++) {
        if (s->key[i] == key) {
            return i;
        }
    }
    return predictive_add(s, key);
}

static uint64_t predictive_key(PredictiveState *s, PollHandler *h)
{
    if (h->source) {
        return h->source;
    }
    if (!h->id) {
        h->id = ++s->last_id;
    }
    return h->id | KEY_ANONYMOUS;
}

static Predictor *predictive_lookup(PollPolicy *p, PollHandler *h)
{
    PredictiveState *s = p->state;
    uint64_t key = predictive_key(s, h);

    if (h->slot >= s->predictors || s->key[h->slot] != key) {
        h->slot = predictive_find(s, key);
    }
    s->predictor[h->slot]->used = p->now;
    return s->predictor[h->slot];
}

static void poll_predictive_event(PollPolicy *p, PollHandler *h)
{
    PredictiveState *s = p->state;

    /* Of several events of a wait, the first one ended the gap */
    if (!p->gap_over && s->current) {
        predictor_learn(p, s->current, poll_gap_sample(p));
    }
    s->current = predictive_lookup(p, h);
}

const PollPolicyOps poll_predictive_ops = {
    .name = "predictive",
    .state_size = sizeof(PredictiveState),
    .reset = poll_predictive_reset,
    .begin = poll_predictive_begin,
    .sleep = poll_predictive_sleep,
    .event = poll_predictive_event,
};
