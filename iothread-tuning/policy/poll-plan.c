/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include <float.h>
#include "iothread-tuning/policy/poll-plan.h"

/*
 * The histogram is boiled down to so many ranges at most, so that all plans
 * can be compared: n^3 / 6 of them
 */
#define PLAN_RANGES         16

/* Ranges with less than this share of the gaps are no place to poll at */
#define PLAN_MIN_SHARE      0.004f

/* No sleep is planned that is shorter */
#define PLAN_MIN_SLEEP_NS   2000

/*
 * An event that is later than nearly all before it is still likely to come
 * soon, and rare enough that waiting for it costs little: if the share of gaps
 * beyond the last poll is smaller than this, polling goes on for as long as
 * would pay for a block.
 */
#define PLAN_TAIL_SHARE     0.03f

/* Beyond the histogram; only how long the CPU will have been idle matters */
#define PLAN_OVERFLOW_NS    3000000

typedef struct PlanRange {
    int64_t start, end, middle;
    float share;            /* of all gaps */
} PlanRange;

typedef struct Planner {
    const PollCosts *costs;
    PlanRange range[PLAN_RANGES + 1];   /* the last: all longer gaps */
    int ranges;                         /* not counting that one */
    float survival[PLAN_RANGES + 2];    /* share of gaps in range i or later */
    float middles[PLAN_RANGES + 1];     /* sum of share x middle before i */
    /* Latency of events in ranges i to before j, asleep since before i */
    float asleep[PLAN_RANGES + 2][PLAN_RANGES + 2];
    float best_cost;
    PollPlan best;
} Planner;

static void planner_merge_closest(Planner *pl)
{
    int best = 0;

    for (int i = 1; i + 1 < pl->ranges; i++) {
        if (pl->range[i + 1].end - pl->range[i].start <
            pl->range[best + 1].end - pl->range[best].start) {
            best = i;
        }
    }
    PlanRange *a = &pl->range[best], *b = &pl->range[best + 1];
    float share = a->share + b->share;

    a->middle = (a->middle * a->share + b->middle * b->share) / share;
    a->end = b->end;
    a->share = share;
    pl->ranges--;
    memmove(b, b + 1, (pl->ranges - best - 1) * sizeof(*b));
}

static void planner_add(Planner *pl, int64_t start, int64_t end, float share)
{
    if (pl->ranges == PLAN_RANGES) {
        planner_merge_closest(pl);
    }
    pl->range[pl->ranges++] = (PlanRange) {
        .start = start, .end = end, .middle = start + (end - start) / 2,
        .share = share,
    };
}

/* Gaps too rare to plan for count as longer than all that is planned for */
static void planner_load(Planner *pl, const GapHistogram *g)
{
    float rest = 1;

    for (int i = 0; i < GAP_OVERFLOW; i++) {
        float share = g->weight[i] / g->total;

        if (share >= PLAN_MIN_SHARE) {
            planner_add(pl, gap_bucket_start(i), gap_bucket_start(i + 1),
                        share);
            rest -= share;
        }
    }
    pl->range[pl->ranges] = (PlanRange) {
        .start = PLAN_OVERFLOW_NS, .end = INT64_MAX,
        .middle = PLAN_OVERFLOW_NS, .share = MAX(rest, 0),
    };
    pl->survival[pl->ranges + 1] = 0;
    for (int i = pl->ranges; i >= 0; i--) {
        pl->survival[i] = pl->survival[i + 1] + pl->range[i].share;
    }
}

/* When range @i begins to be waited for: range @i - 1 has been ruled out */
static int64_t planner_since(const Planner *pl, int i)
{
    return i ? pl->range[i - 1].end : 0;
}

/* Sums that make the cost of each plan a matter of a few additions */
static void planner_sum(Planner *pl)
{
    for (int i = 0; i < pl->ranges; i++) {
        pl->middles[i + 1] = pl->middles[i] +
                             pl->range[i].share * pl->range[i].middle;
    }
    for (int i = 0; i <= pl->ranges; i++) {
        int64_t since = planner_since(pl, i);

        pl->asleep[i][i] = 0;
        for (int j = i; j <= pl->ranges; j++) {
            int64_t slept = MAX(pl->range[j].middle - since, 0);
            int64_t late = MIN(wake_latency_mean(pl->costs->wake, slept),
                               slept + PLAN_MIN_SLEEP_NS);

            pl->asleep[i][j + 1] = pl->asleep[i][j] + pl->range[j].share *
                                   late * pl->costs->latency_weight;
        }
    }
}

/* Expected polling in ranges @from to before @to, polling since @since */
static float plan_polling(const Planner *pl, int from, int to, int64_t since)
{
    if (from == to) {
        return 0;
    }
    return pl->middles[to] - pl->middles[from] -
           since * (pl->survival[from] - pl->survival[to]) +
           pl->survival[to] * (pl->range[to - 1].end - since);
}

/*
 * By how much the thread runs before @wake, on average, if it sleeps from
 * @first so as to be in time
 */
static int64_t plan_early(const PollCosts *c, int64_t first, int64_t wake)
{
    int64_t limit = wake_latency_limit(c->wake, wake - first);

    return wake - first - limit - wake_latency_mean(c->wake, limit);
}

static void planner_offer(Planner *pl, float cost, const PollPlan *plan)
{
    if (cost < pl->best_cost) {
        pl->best_cost = cost;
        pl->best = *plan;
    }
}

/*
 * The first @a ranges are polled for at the cost @before, then the thread
 * sleeps until shortly before range @b and polls to the end of one after it.
 */
static void planner_try_wakes(Planner *pl, int a, int b, float before)
{
    const PollCosts *c = pl->costs;
    int64_t first = planner_since(pl, a);
    int64_t wake = pl->range[b].start;
    int64_t limit = wake_latency_limit(c->wake, wake - first);
    /* Woken before that, on average, and the rest is polled */
    int64_t early = plan_early(c, first, wake);

    if (limit < PLAN_MIN_SLEEP_NS) {
        return;
    }
    before += pl->asleep[a][b] + pl->survival[b] * early;
    for (int end = b + 1; end <= pl->ranges; end++) {
        int64_t last = pl->range[end - 1].end;
        PollPlan plan = { first, wake, last, pl->best.typical };

        if (first + early + last - wake > c->max_poll_ns) {
            break;
        }
        planner_offer(pl, before + plan_polling(pl, b, end, wake) +
                      pl->survival[end] * c->block_cpu_ns +
                      pl->asleep[end][pl->ranges + 1], &plan);
    }
}

static void planner_try_first(Planner *pl, int a)
{
    int64_t first = planner_since(pl, a);
    float polling = plan_polling(pl, 0, a, 0);
    float block = pl->survival[a] * pl->costs->block_cpu_ns;
    PollPlan plan = { first, INT64_MAX, INT64_MAX, pl->best.typical };

    planner_offer(pl, polling + block + pl->asleep[a][pl->ranges + 1], &plan);
    for (int b = a; b < pl->ranges && polling + block < pl->best_cost; b++) {
        planner_try_wakes(pl, a, b, polling + block);
    }
}

/* Only where the last poll covers the last of the ranges but rare ones */
static void planner_extend(Planner *pl, const PollCosts *c)
{
    PollPlan *plan = &pl->best;
    int64_t block = c->block_cpu_ns +
                    c->latency_weight * wake_latency_mean(c->wake, 0);
    bool sleeps = plan->wake != INT64_MAX;
    int64_t *last = sleeps ? &plan->poll_last : &plan->poll_first;
    int64_t polled = plan->poll_first;
    float beyond = 0;

    for (int i = pl->ranges; i >= 0 && pl->range[i].end > *last; i--) {
        beyond += pl->range[i].share;
    }
    if (sleeps) {
        polled += plan->poll_last - plan->wake +
                  plan_early(c, plan->poll_first, plan->wake);
    }
    if (*last && beyond < PLAN_TAIL_SHARE) {
        *last += CLAMP(c->max_poll_ns - polled, 0, block);
    }
}

static int64_t planner_median(const Planner *pl)
{
    int i = 0;

    while (i < pl->ranges && pl->survival[i + 1] > 0.5f) {
        i++;
    }
    return pl->range[i].middle;
}

PollPlan poll_plan_make(const GapHistogram *g, const PollCosts *costs)
{
    Planner pl = { .costs = costs, .best_cost = FLT_MAX };
    PollPlan block = { 0, INT64_MAX, INT64_MAX, PLAN_OVERFLOW_NS };

    if (g->total <= 0) {
        return block;
    }
    planner_load(&pl, g);
    planner_sum(&pl);
    pl.best = block;
    pl.best.typical = planner_median(&pl);
    for (int a = 0; a <= pl.ranges; a++) {
        if (a && pl.range[a - 1].end > costs->max_poll_ns) {
            break;
        }
        planner_try_first(&pl, a);
    }
    planner_extend(&pl, costs);
    return pl.best;
}
