/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "iothread-tuning/policy/poll-policy-int.h"

/* CPU time of a block before the first measurement */
#define POLL_BLOCK_CPU_PRIOR_NS 2500

/* No block costs more; a measurement above it caught something else */
#define POLL_BLOCK_CPU_MAX_NS   50000

static const PollPolicyOps *const poll_policies[POLL_POLICY__MAX] = {
    [POLL_POLICY_CLASSIC] = &poll_classic_ops,
    [POLL_POLICY_WEIGHTED] = &poll_weighted_ops,
    [POLL_POLICY_PREDICTIVE] = &poll_predictive_ops,
};

static bool poll_param_in_range(int64_t value, int64_t max)
{
    return value >= 0 && value <= max;
}

bool poll_params_valid(const PollParams *params)
{
    return poll_param_in_range(params->kind, POLL_POLICY__MAX - 1) &&
           poll_param_in_range(params->max_ns, POLL_MAX_NS_LIMIT) &&
           poll_param_in_range(params->grow, POLL_FACTOR_LIMIT) &&
           poll_param_in_range(params->shrink, POLL_FACTOR_LIMIT) &&
           poll_param_in_range(params->weight, POLL_WEIGHT_LIMIT) &&
           poll_param_in_range(params->latency_weight,
                               POLL_LATENCY_WEIGHT_LIMIT) &&
           poll_param_in_range(params->cpu_limit, POLL_CPU_LIMIT_LIMIT);
}

PollPolicy *poll_policy_new(void)
{
    PollPolicy *p = g_new0(PollPolicy, 1);
    PollParams params = {
        .kind = POLL_POLICY_CLASSIC,
        .weight = POLL_WEIGHT_DEFAULT,
        .latency_weight = POLL_LATENCY_WEIGHT_DEFAULT,
    };

    p->block_cpu_ns = POLL_BLOCK_CPU_PRIOR_NS;
    p->counts.block_cpu = POLL_BLOCK_CPU_PRIOR_NS;
    poll_policy_set(p, &params);
    return p;
}

static void poll_policy_drop(PollPolicy *p)
{
    if (p->ops) {
        p->ops->reset(p);
    }
    g_clear_pointer(&p->state, g_free);
}

void poll_policy_free(PollPolicy *p)
{
    poll_policy_drop(p);
    g_free(p);
}

static void poll_policy_choose(PollPolicy *p, const PollPolicyOps *ops)
{
    if (p->ops != ops) {
        poll_policy_drop(p);
        p->state = ops->state_size ? g_malloc0(ops->state_size) : NULL;
        p->ops = ops;
    }
}

void poll_policy_set(PollPolicy *p, const PollParams *params)
{
    p->params = *params;
    if (!p->params.weight) {
        p->params.weight = POLL_WEIGHT_DEFAULT;
    }
    poll_policy_choose(p, poll_policies[params->kind]);
    poll_budget_reset(&p->budget, params->cpu_limit);
    poll_yield_reset(&p->yield);
    p->gap_over = true;
    p->sleep_limit = -1;
    p->ops->reset(p);
}

const PollParams *poll_policy_params(const PollPolicy *p)
{
    return &p->params;
}

const PollCounts *poll_policy_counts(const PollPolicy *p)
{
    return &p->counts;
}

const PollPolicyOps *poll_policy_ops(const PollPolicy *p)
{
    return p->ops;
}

/* What poll-cpu-limit leaves of @ns */
static int64_t poll_policy_limit(PollPolicy *p, int64_t ns)
{
    int64_t allowed = poll_budget_allow(&p->budget, p->now, ns);

    p->counts.cpu_limited += allowed < ns;
    p->may_poll = allowed > 0;
    return allowed;
}

int64_t poll_policy_begin(PollPolicy *p, int64_t now, int64_t wanted)
{
    int64_t ns;

    if (p->gap_over) {
        p->gap_over = false;
        p->gap_start = now;
        p->gap_polled = 0;
        p->sleep_over = false;
    }
    p->now = now;
    p->may_poll = !poll_yield_paused(&p->yield, now);
    if (!p->may_poll) {
        return 0;
    }
    ns = MIN(p->ops->begin(p, wanted), p->params.max_ns);
    return ns > 0 ? poll_policy_limit(p, ns) : 0;
}

int64_t poll_policy_sleep(PollPolicy *p, int64_t now)
{
    p->now = now;
    /* Woken without a budget it could only block again */
    if (!p->may_poll || !poll_budget_left(&p->budget)) {
        p->sleep_limit = -1;
        return -1;
    }
    p->sleep_limit = p->ops->sleep ? p->ops->sleep(p) : -1;
    p->counts.timed_sleeps += p->sleep_limit >= 0;
    return p->sleep_limit;
}

/*
 * A sleep that ran into its limit shows how long waking takes.  If an event
 * came while the thread was waking it took at least that long; were this left
 * out, a latency that has risen would never be noticed.
 */
static void poll_policy_slept(PollPolicy *p, const PollWait *wait)
{
    int64_t late = wait->slept_ns - wait->sleep_limit;
    bool expired = !wait->woken && wait->sleep_limit > 0 && late >= 0;

    if (expired || (wait->sleep_limit > 0 &&
                    late > wake_latency_mean(&p->wake, wait->sleep_limit))) {
        wake_latency_sample(&p->wake, p->now, wait->sleep_limit, late);
        p->counts.wake_latency = wake_latency_mean(&p->wake,
                                                   wait->sleep_limit);
    } else {
        wake_latency_slept(&p->wake);
    }
}

void poll_policy_waited(PollPolicy *p, const PollWait *wait)
{
    p->now = wait->now;
    p->wait = *wait;
    if (wait->polled) {
        p->gap_polled += wait->polled_ns;
        poll_yield_polled(&p->yield, wait->polled_ns);
        if (!wait->hit) {
            poll_budget_spend(&p->budget, wait->polled_ns);
        }
    }
    if (wait->slept && !p->ops->stock) {
        poll_policy_slept(p, wait);
    }
    if (p->sleep_limit >= 0 && wait->sleep_limit == p->sleep_limit &&
        !wait->woken && wait->slept_ns >= wait->sleep_limit) {
        p->sleep_over = true;
        p->counts.timed_wakeups += wait->slept;
    }
    p->sleep_limit = -1;
}

void poll_policy_event(PollPolicy *p, PollHandler *h)
{
    p->ops->event(p, h);
    p->gap_over = true;
}

int64_t poll_gap_sample(const PollPolicy *p)
{
    int64_t gap = p->wait.now - p->gap_start;

    if (p->wait.slept && p->wait.woken) {
        int64_t late = wake_latency_mean(&p->wake, p->wait.slept_ns);

        /* It cannot have happened before the sleep began */
        gap -= MIN(late, p->wait.slept_ns);
    }
    return MAX(gap, 0);
}

void poll_policy_block_cost(PollPolicy *p, int64_t cpu_ns)
{
    int64_t ns = CLAMP(cpu_ns, 0, POLL_BLOCK_CPU_MAX_NS);

    p->block_cpu_ns += (ns - p->block_cpu_ns) / 8;
    p->counts.block_cpu = p->block_cpu_ns;
}

bool poll_policy_wants_sched(const PollPolicy *p, int64_t now)
{
    return p->yield.polled_ns && !p->ops->stock &&
           now - p->yield.sampled >= POLL_SCHED_INTERVAL_NS;
}

void poll_policy_sched(PollPolicy *p, int64_t now,
                       uint64_t switches, uint64_t run_delay)
{
    if (poll_yield_sample(&p->yield, now, switches, run_delay)) {
        p->counts.yields++;
    }
}
