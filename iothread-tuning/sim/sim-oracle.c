/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What the best policy could do that knew when the next event will be
 */
#include <glib.h>
#include "iothread-tuning/sim/sim.h"

typedef struct OraclePlan {
    int64_t cost;
    int64_t poll;
    int64_t sleep;          /* after that, -1: until the event */
} OraclePlan;

static void plan_offer(OraclePlan *best, OraclePlan plan)
{
    if (plan.cost < best->cost) {
        *best = plan;
    }
}

static void plan_poll(const SimOracle *o, int64_t gap, OraclePlan *best)
{
    if (gap <= o->max_ns) {
        plan_offer(best, (OraclePlan) {
            gap + (1 + o->lambda) * SIM_DETECT_NS, o->max_ns, -1
        });
    }
}

static void plan_poll_and_block(const SimOracle *o, int64_t gap, int64_t poll,
                                OraclePlan *best)
{
    if (poll >= 0 && poll < gap && poll <= o->max_ns) {
        plan_offer(best, (OraclePlan) {
            poll + SIM_BLOCK_NS + o->lambda * sim_wake_latency(gap - poll),
            poll, -1
        });
    }
}

static void plan_sleep_and_poll(const SimOracle *o, int64_t gap, int64_t sleep,
                                OraclePlan *best)
{
    int64_t rest = gap - sleep - sim_wake_latency(sleep);

    if (o->may_sleep && sleep > 0 && rest >= 0 && rest <= o->max_ns) {
        plan_offer(best, (OraclePlan) {
            SIM_BLOCK_NS + rest + (1 + o->lambda) * SIM_DETECT_NS, 0, sleep
        });
    }
}

/* Nothing but the steps of the wake latency makes other times worth a try */
static OraclePlan oracle_plan(const SimOracle *o, int64_t gap)
{
    OraclePlan best = { INT64_MAX, 0, -1 };

    if (gap <= 0) {
        return (OraclePlan) { 0, o->max_ns, -1 };
    }
    plan_poll(o, gap, &best);
    plan_poll_and_block(o, gap, 0, &best);
    plan_poll_and_block(o, gap, gap - SIM_SLEEP_SHORT_NS, &best);
    plan_poll_and_block(o, gap, gap - SIM_SLEEP_MEDIUM_NS, &best);
    plan_sleep_and_poll(o, gap, gap - SIM_WAKE_SHORT_NS, &best);
    plan_sleep_and_poll(o, gap, gap - SIM_WAKE_MEDIUM_NS, &best);
    plan_sleep_and_poll(o, gap, gap - SIM_WAKE_LONG_NS, &best);
    plan_sleep_and_poll(o, gap, SIM_SLEEP_SHORT_NS, &best);
    plan_sleep_and_poll(o, gap, SIM_SLEEP_MEDIUM_NS, &best);
    return best;
}

static int64_t oracle_begin(void *opaque, int64_t now, int64_t wanted)
{
    SimOracle *o = opaque;
    int64_t next = sim_load_next(o->load, NULL);
    OraclePlan plan = { 0, 0, -1 };

    if (next < SIM_NEVER) {
        plan = oracle_plan(o, next - now);
    }
    o->sleep = plan.sleep;
    return plan.poll;
}

static int64_t oracle_sleep(void *opaque, int64_t now)
{
    SimOracle *o = opaque;

    return o->sleep;
}

static void oracle_waited(void *opaque, const PollWait *wait)
{
}

static void oracle_event(void *opaque, PollHandler *handler)
{
}

SimPolicy sim_oracle(SimOracle *oracle, const SimConfig *config,
                     const SimLoad *load, bool may_sleep)
{
    *oracle = (SimOracle) {
        .load = load,
        .max_ns = config->params.max_ns,
        .lambda = config->lambda,
        .may_sleep = may_sleep,
        .sleep = -1,
    };
    return (SimPolicy) {
        .name = may_sleep ? "optimum-sleep" : "optimum",
        .opaque = oracle,
        .clears_eventfds = true,
        .begin = oracle_begin,
        .sleep = oracle_sleep,
        .waited = oracle_waited,
        .event = oracle_event,
    };
}
