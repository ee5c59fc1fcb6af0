/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What a policy could do that knew how long disk and guest take on average and
 * how much that varies, but not how long this time: an honest upper bound for
 * a policy that learns.  It polls, sleeps, polls again and blocks at the times
 * that turn out best on a sample of the gaps.
 */
#include <glib.h>
#include <string.h>
#include "iothread-tuning/sim/sim.h"

/* Times to poll or sleep until that are tried, from among the samples */
#define TIMES 40

static int compare_gaps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* CPU time + lambda x latency of one wait */
static double gap_cost(const SimInformed *in, const SimPlan *plan, int64_t gap)
{
    int64_t slept = plan->wake - plan->first;
    int64_t running = plan->wake + sim_wake_latency(slept);
    double lambda = in->lambda;
    double seen = (1 + lambda) * SIM_DETECT_NS;

    if (gap <= plan->first) {
        return gap + seen;
    }
    if (gap <= plan->wake || plan->wake == SIM_NEVER) {
        return plan->first + SIM_BLOCK_NS +
               lambda * sim_wake_latency(gap - plan->first);
    }
    if (gap <= running) {
        return plan->first + SIM_BLOCK_NS + lambda * (running - gap);
    }
    if (gap <= plan->last) {
        return plan->first + SIM_BLOCK_NS + gap - running + seen;
    }
    return plan->first + 2 * SIM_BLOCK_NS + MAX(plan->last - running, 0) +
           lambda * sim_wake_latency(gap - MAX(plan->last, running));
}

typedef struct Search {
    const SimInformed *in;
    int64_t gap[SIM_SAMPLES];
    int64_t time[TIMES];
    double best_cost;
    SimPlan best;
} Search;

static void search_try(Search *s, SimPlan plan)
{
    double cost = 0;

    for (int i = 0; i < SIM_SAMPLES && cost < s->best_cost; i++) {
        cost += gap_cost(s->in, &plan, s->gap[i]);
    }
    if (cost < s->best_cost) {
        s->best_cost = cost;
        s->best = plan;
    }
}

/* The thread is to run from about time @b on, and to poll to @e */
static void search_wakes(Search *s, int64_t first, int64_t from)
{
    int64_t wake = from - sim_wake_latency(from - first);
    int64_t running = wake + sim_wake_latency(wake - first);

    if (wake <= first) {
        return;
    }
    for (int e = 0; e < TIMES; e++) {
        int64_t last = s->time[e];

        if (last >= running && first + last - running <= s->in->max_ns) {
            search_try(s, (SimPlan) { first, wake, last });
        }
    }
}

static void search_first(Search *s, int64_t first)
{
    search_try(s, (SimPlan) { first, SIM_NEVER, SIM_NEVER });
    for (int b = 0; b < TIMES; b++) {
        search_wakes(s, first, s->time[b]);
    }
}

static SimPlan search_best(const SimInformed *in, const SimGaps *gaps)
{
    SimRandom random = { 1 };
    Search s = { .in = in, .best_cost = G_MAXDOUBLE };

    for (int i = 0; i < SIM_SAMPLES; i++) {
        s.gap[i] = sim_gaps_draw(gaps, &random, i);
    }
    qsort(s.gap, SIM_SAMPLES, sizeof(s.gap[0]), compare_gaps);
    for (int i = 0; i < TIMES; i++) {
        s.time[i] = s.gap[i * (SIM_SAMPLES - 1) / (TIMES - 1)];
    }
    search_first(&s, 0);
    for (int i = 0; i < TIMES && s.time[i] <= in->max_ns; i++) {
        search_first(&s, s.time[i]);
    }
    return s.best;
}

static const SimPlan *informed_plan(const SimInformed *in)
{
    return in->load->slot[0].kind == SIM_KICK ? &in->think :
           &in->service[in->load->device[0].phase];
}

static int64_t informed_begin(void *opaque, int64_t now, int64_t wanted)
{
    SimInformed *in = opaque;
    const SimPlan *plan = informed_plan(in);
    int64_t until;

    if (in->over) {
        in->over = in->slept = false;
        in->start = now;
    }
    until = in->slept ? plan->last : plan->first;
    return CLAMP(until - (now - in->start), 0, in->max_ns);
}

static int64_t informed_sleep(void *opaque, int64_t now)
{
    SimInformed *in = opaque;
    const SimPlan *plan = informed_plan(in);

    if (in->slept || plan->wake == SIM_NEVER ||
        plan->wake <= now - in->start) {
        return -1;
    }
    in->slept = true;
    return plan->wake - (now - in->start);
}

static void informed_event(void *opaque, PollHandler *handler)
{
    SimInformed *in = opaque;

    in->over = true;
}

bool sim_informed(SimInformed *in, SimPolicy *policy, const SimConfig *config,
                  const SimLoad *load)
{
    const SimWorkload *w = load->workload;

    if (!w || w->warm_up || load->slots != 1) {
        return false;
    }
    *in = (SimInformed) {
        .load = load, .lambda = config->lambda,
        .max_ns = config->params.max_ns, .over = true,
    };
    for (int i = 0; i < SIM_PHASES && w->device[0].service[i].ns; i++) {
        in->service[i] = search_best(in, &w->device[0].service[i]);
    }
    in->think = search_best(in, &w->device[0].think);
    *policy = (SimPolicy) {
        .opaque = in,
        .begin = informed_begin, .sleep = informed_sleep,
        .event = informed_event,
    };
    return true;
}
