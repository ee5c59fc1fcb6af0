/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "iothread-tuning/policy/poll-budget.h"

/* A sample this old says nothing about the time that was polled */
#define POLL_YIELD_STALE_NS     100000000

/* Where the run queue wait is unknown, each switch counts as one slice */
#define POLL_YIELD_SLICE_NS     3000000

/* Without pressure for so many samples, the next pause is shorter */
#define POLL_YIELD_CALM         16

void poll_budget_reset(PollBudget *b, int64_t limit)
{
    *b = (PollBudget) { .limit = limit };
}

static void poll_budget_fill(PollBudget *b, int64_t now)
{
    int64_t burst = POLL_BUDGET_BURST_NS / 100 * b->limit;
    int64_t elapsed = CLAMP(now - b->filled, 0, POLL_BUDGET_BURST_NS);

    if (!b->filled) {
        b->tokens = burst;
        b->filled = now;
    } else if (elapsed >= 100) {
        b->tokens = MIN(b->tokens + elapsed / 100 * b->limit, burst);
        b->filled = now - elapsed % 100;
    }
}

int64_t poll_budget_allow(PollBudget *b, int64_t now, int64_t ns)
{
    if (!b->limit) {
        return ns;
    }
    poll_budget_fill(b, now);
    return b->tokens < POLL_BUDGET_MIN_NS ? 0 : MIN(ns, b->tokens);
}

void poll_budget_spend(PollBudget *b, int64_t ns)
{
    if (b->limit) {
        b->tokens -= ns;
    }
}

void poll_yield_reset(PollYield *y)
{
    *y = (PollYield) {};
}

static void poll_yield_start(PollYield *y, int64_t now)
{
    y->until = now + ((int64_t)POLL_YIELD_MIN_NS << y->level);
    y->level = MIN(y->level + 1, POLL_YIELD_MAX_LEVEL);
    y->pressure = 0;
    y->calm = 0;
    y->sampled = 0;
}

static void poll_yield_relax(PollYield *y)
{
    if (++y->calm >= POLL_YIELD_CALM) {
        y->calm = 0;
        y->level -= y->level > 0;
    }
}

bool poll_yield_sample(PollYield *y, int64_t now,
                       uint64_t switches, uint64_t run_delay)
{
    int64_t elapsed = now - y->sampled;
    int64_t polled = y->polled_ns;
    int64_t delay = run_delay ? run_delay - y->run_delay :
                    (switches - y->switches) * POLL_YIELD_SLICE_NS;
    bool comparable = y->sampled && elapsed > 0 &&
                      elapsed < POLL_YIELD_STALE_NS;
    unsigned pressure;

    y->sampled = now;
    y->switches = switches;
    y->run_delay = run_delay;
    y->polled_ns = 0;
    /* Who hardly polls takes nothing from others by it */
    if (!comparable || polled < elapsed / 16) {
        return false;
    }
    pressure = CLAMP(delay, 0, elapsed) * 1000 / elapsed;
    y->pressure = (y->pressure * 3 + pressure) / 4;
    if (y->pressure < POLL_YIELD_PRESSURE) {
        poll_yield_relax(y);
        return false;
    }
    poll_yield_start(y, now);
    return true;
}
