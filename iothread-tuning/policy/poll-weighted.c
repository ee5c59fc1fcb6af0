/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A smoothed polling policy: each handler keeps the mean and the deviation of
 * the gaps that its own events ended, averaged over 2^poll-weight of them, and
 * the loop polls for as long as the handlers active of late would need.
 *
 * A handler learns nothing from the events of others: were their time added to
 * its own, a device and its guest, which take turns, would drive each other's
 * estimate beyond poll-max-ns although each of them is in time.
 */
#include "qemu/osdep.h"
#include "iothread-tuning/policy/poll-policy-int.h"

/* Handlers of the latest so many events are taken to be active */
#define WEIGHTED_RECENT     8

/* Added to every polling time for the jitter of a steady source */
#define WEIGHTED_SLACK_NS   500

typedef struct WeightedState {
    int64_t recent[WEIGHTED_RECENT];    /* polling times their handlers want */
    unsigned next;
} WeightedState;

static void poll_weighted_reset(PollPolicy *p)
{
    *(WeightedState *)p->state = (WeightedState) {};
}

static int64_t poll_weighted_begin(PollPolicy *p, int64_t wanted)
{
    const WeightedState *s = p->state;
    int64_t ns = 0;

    for (int i = 0; i < WEIGHTED_RECENT; i++) {
        ns = MAX(ns, s->recent[i]);
    }
    /* After a timer, only the rest; and nothing once the gap is longer */
    return MAX(ns - MAX(poll_gap_elapsed(p), p->gap_polled), 0);
}

/* Rounds towards zero, and any weight up to 63 is a valid shift */
static int64_t weighted_step(int64_t difference, int64_t weight)
{
    return difference < 0 ? -(-difference >> weight) : difference >> weight;
}

static void weighted_learn(PollHandler *h, int64_t gap, int64_t weight)
{
    if (!h->last_event) {
        h->mean = gap;
        h->deviation = gap / 4;
        h->last_event = 1;
        return;
    }
    h->deviation += weighted_step(ABS(gap - h->mean) - h->deviation, weight);
    h->mean += weighted_step(gap - h->mean, weight);
}

static void poll_weighted_event(PollPolicy *p, PollHandler *h)
{
    WeightedState *s = p->state;
    int64_t max_ns = p->params.max_ns;

    /* How much too long a gap was must not decide how long it is remembered */
    weighted_learn(h, MIN(poll_gap_sample(p), 2 * max_ns), p->params.weight);

    if (h->mean > max_ns) {
        h->ns = 0;
    } else {
        h->ns = MIN(h->mean + 2 * h->deviation + WEIGHTED_SLACK_NS, max_ns);
    }
    s->recent[s->next] = h->ns;
    s->next = (s->next + 1) % WEIGHTED_RECENT;
}

const PollPolicyOps poll_weighted_ops = {
    .name = "weighted",
    .state_size = sizeof(WeightedState),
    .reset = poll_weighted_reset,
    .begin = poll_weighted_begin,
    .event = poll_weighted_event,
};
