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
    int64_t poll;           /* then block until the event */
} OraclePlan;

static void oracle_offer(OraclePlan *best, int64_t cost, int64_t poll)
{
    if (cost < best->cost) {
        *best = (OraclePlan) { cost, poll };
    }
}

static void oracle_block_after(const SimOracle *o, int64_t gap, int64_t poll,
                               OraclePlan *best)
{
    if (poll >= 0 && poll < gap && poll <= o->max_ns) {
        oracle_offer(best, poll + SIM_BLOCK_NS +
                     o->lambda * sim_wake_latency(gap - poll), poll);
    }
}

/* Nothing but the steps of the wake latency makes other times worth a try */
static int64_t oracle_begin(void *opaque, int64_t now, int64_t wanted)
{
    const SimOracle *o = opaque;
    int64_t next = sim_load_next(o->load, NULL);
    int64_t gap = next - now;
    OraclePlan best = { INT64_MAX, 0 };

    if (next == SIM_NEVER) {
        return 0;
    }
    if (gap <= 0) {
        return o->max_ns;
    }
    if (gap <= o->max_ns) {
        oracle_offer(&best, gap + (1 + o->lambda) * SIM_DETECT_NS, o->max_ns);
    }
    oracle_block_after(o, gap, 0, &best);
    oracle_block_after(o, gap, gap - SIM_SLEEP_SHORT_NS, &best);
    oracle_block_after(o, gap, gap - SIM_SLEEP_MEDIUM_NS, &best);
    return best.poll;
}

static int64_t oracle_sleep(void *opaque, int64_t now)
{
    return -1;
}

SimPolicy sim_oracle(SimOracle *oracle, const SimConfig *config,
                     const SimLoad *load)
{
    *oracle = (SimOracle) {
        .load = load,
        .max_ns = config->params.max_ns,
        .lambda = config->lambda,
    };
    return (SimPolicy) {
        .opaque = oracle,
        .begin = oracle_begin,
        .sleep = oracle_sleep,
    };
}
