/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * An event loop with a clock of its own, to drive polling policies in tests
 *
 * It waits the way aio_poll() does, and checks each answer of the policy.
 */
#ifndef TESTS_UNIT_POLL_LOOP_H
#define TESTS_UNIT_POLL_LOOP_H

#include <glib.h>
#include <string.h>
#include "iothread-tuning/policy/poll-policy.h"

#define LOOP_HANDLERS 256

/* No event */
#define LOOP_NEVER INT64_MAX

typedef struct Loop {
    PollPolicy *policy;
    PollHandler handler[LOOP_HANDLERS];
    int handlers;           /* so many have had events */
    int64_t now;
    int64_t wake_ns;        /* how long waking takes */

    /* Of the present gap, or the latest one if it is over */
    bool over;
    int64_t polled;
    int64_t late;           /* from the event to its handling */
    unsigned blocks;
    unsigned timed_sleeps;

    int64_t vain;           /* polled without an event, in all */
} Loop;

static inline void loop_set(Loop *l, const PollParams *params)
{
    poll_policy_set(l->policy, params);
    memset(l->handler, 0, sizeof(l->handler));
    l->handlers = 0;
    l->over = true;
}

static inline void loop_init(Loop *l, PollPolicyKind kind, int64_t max_ns)
{
    PollParams params = {
        .kind = kind, .max_ns = max_ns,
        .latency_weight = POLL_LATENCY_WEIGHT_DEFAULT,
    };

    *l = (Loop) {
        .policy = poll_policy_new(),
        .now = 1000000000,
        .wake_ns = 4000,
    };
    loop_set(l, &params);
}

static inline void loop_free(Loop *l)
{
    poll_policy_free(l->policy);
}

static inline int64_t loop_wanted(const Loop *l)
{
    int64_t wanted = 0;

    for (int i = 0; i < l->handlers; i++) {
        wanted = MAX(wanted, l->handler[i].ns);
    }
    return wanted;
}

static inline void loop_poll(Loop *l, int64_t ns, int64_t due, PollWait *wait)
{
    wait->polled = true;
    wait->hit = due <= l->now + ns;
    wait->polled_ns = wait->hit ? MAX(due - l->now, 0) : ns;
    l->now += wait->polled_ns;
    l->polled += wait->polled_ns;
    l->vain += wait->hit ? 0 : wait->polled_ns;
}

/* Sleeps until @due or @limit; a limit before @due, or equal, ends it */
static inline void loop_block(Loop *l, int64_t limit, int64_t due,
                              PollWait *wait)
{
    int64_t ns = MAX(due - l->now, 0);

    wait->sleep_limit = limit;
    wait->slept = limit != 0;
    if (!wait->slept) {
        wait->woken = due <= l->now;
        return;
    }
    g_assert_true(limit > 0 || due != LOOP_NEVER);
    if (limit > 0 && limit < ns) {
        ns = limit;
    }
    wait->slept_ns = ns + l->wake_ns;
    l->now += wait->slept_ns;
    wait->woken = due <= l->now;
    l->blocks++;
}

/**
 * loop_wait: one wait for an event that is @due, or a timer at @timer
 *
 * Returns: true if there was the event; loop_event() is to follow
 */
static inline bool loop_wait(Loop *l, int64_t due, int64_t timer)
{
    int64_t begin = l->now, ns, limit;
    int64_t max_ns = poll_policy_params(l->policy)->max_ns;
    PollWait wait = { .sleep_limit = -1 };

    if (l->over) {
        l->over = false;
        l->polled = l->late = 0;
        l->blocks = l->timed_sleeps = 0;
    }
    ns = poll_policy_begin(l->policy, l->now, loop_wanted(l));
    g_assert_cmpint(ns, >=, 0);
    g_assert_cmpint(ns, <=, max_ns);
    ns = MIN(ns, MAX(timer - l->now, 0));
    if (ns) {
        loop_poll(l, ns, due, &wait);
    }
    if (!wait.hit && l->now < timer) {
        limit = poll_policy_sleep(l->policy, l->now);
        g_assert_cmpint(limit, >=, -1);
        l->timed_sleeps += limit > 0;
        if (timer != LOOP_NEVER) {
            limit = limit < 0 ? timer - l->now : MIN(limit, timer - l->now);
        }
        loop_block(l, limit, due, &wait);
    }
    wait.now = l->now;
    wait.total_ns = l->now - begin;
    poll_policy_waited(l->policy, &wait);
    return wait.hit || wait.woken;
}

static inline void loop_event(Loop *l, int handler)
{
    l->handlers = MAX(l->handlers, handler + 1);
    poll_policy_event(l->policy, &l->handler[handler]);
    l->over = true;
}

/**
 * loop_gap: wait for an event of @handler that comes after @gap ns
 *
 * Returns: true if it was found by polling alone
 */
static inline bool loop_gap(Loop *l, int handler, int64_t gap)
{
    int64_t due = l->now + gap;

    for (int waits = 0; !loop_wait(l, due, LOOP_NEVER); waits++) {
        g_assert_cmpint(waits, <, 10);
    }
    l->late = l->now - due;
    loop_event(l, handler);
    return !l->blocks;
}

/* A disk of @ns and its guest: a completion (handler 0) and a kick (1) */
static inline void loop_request(Loop *l, int64_t ns)
{
    loop_gap(l, 0, ns);
    loop_gap(l, 1, 2000);
}

#endif /* TESTS_UNIT_POLL_LOOP_H */
