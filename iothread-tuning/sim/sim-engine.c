/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The event loop: waits as the policy says, and adds up what that costs
 */
#include <glib.h>
#include "iothread-tuning/sim/sim.h"

/* QEMU stops polling a handler that has had no event for so long */
#define IDLE_NS             7000000000ll

typedef struct SimHandler {
    PollHandler poll;
    int64_t last;           /* event; 0: never any */
} SimHandler;

typedef struct SimLoop {
    const SimConfig *config;
    const SimPolicy *policy;
    SimLoad *load;
    SimHandler handler[SIM_HANDLERS];
    SimResult result;
    int64_t now;
    int64_t start;          /* of what is measured */
    int64_t gap_polled;     /* since the latest event */
    bool measuring;
} SimLoop;

int64_t sim_wake_latency(int64_t slept)
{
    return slept <= SIM_SLEEP_SHORT_NS ? SIM_WAKE_SHORT_NS :
           slept <= SIM_SLEEP_MEDIUM_NS ? SIM_WAKE_MEDIUM_NS :
           SIM_WAKE_LONG_NS;
}

static int64_t loop_wanted(const SimLoop *loop)
{
    int64_t wanted = 0;

    for (int i = 0; i < SIM_HANDLERS; i++) {
        const SimHandler *h = &loop->handler[i];

        if (h->last && loop->now - h->last < IDLE_NS) {
            wanted = MAX(wanted, h->poll.ns);
        }
    }
    return wanted;
}

static void loop_poll(SimLoop *loop, int64_t ns, PollWait *wait)
{
    int64_t next = sim_load_next(loop->load, NULL);
    int64_t end = loop->now + ns;

    if (loop->load->timer < end) {
        end = MAX(loop->load->timer, loop->now);
    }
    wait->polled = true;
    wait->hit = next <= end;
    if (wait->hit) {
        end = MAX(next, loop->now) + SIM_DETECT_NS;
    }
    wait->polled_ns = end - loop->now;
    loop->result.polled += wait->polled_ns;
    loop->gap_polled += wait->polled_ns;
    loop->now = end;
    if (loop->gap_polled > loop->config->params.max_ns + SIM_DETECT_NS) {
        loop->result.faults++;
    }
}

static void loop_sleep(SimLoop *loop, int64_t limit, PollWait *wait)
{
    int64_t next = sim_load_next(loop->load, NULL);
    bool limited = limit >= 0 && next - loop->now > limit;
    int64_t ns = limited ? limit : next - loop->now;

    g_assert(limited || next != SIM_NEVER);
    ns += sim_wake_latency(ns);
    wait->slept_ns = ns;
    wait->woken = next <= loop->now + ns;
    loop->now += ns;
    loop->result.blocks++;
}

static void loop_block(SimLoop *loop, PollWait *wait)
{
    int64_t limit = loop->policy->sleep(loop->policy->opaque, loop->now);
    SimLoad *load = loop->load;

    loop->result.faults += limit < -1;
    loop->result.timed_sleeps += limit > 0;
    if (load->timer != SIM_NEVER) {
        int64_t timeout = load->timer - loop->now;

        limit = limit < 0 ? timeout : MIN(limit, timeout);
    }
    wait->sleep_limit = limit;
    wait->slept = limit != 0;
    if (!limit || sim_load_next(load, NULL) <= loop->now) {
        loop->now += SIM_CHECK_NS;
        loop->result.checks++;
        wait->slept_ns = limit ? SIM_CHECK_NS : 0;
        wait->woken = sim_load_next(load, NULL) <= loop->now;
    } else {
        loop_sleep(loop, limit, wait);
    }
}

static void loop_wait(SimLoop *loop)
{
    const SimPolicy *policy = loop->policy;
    int64_t begin = loop->now, ns;
    PollWait wait = { .sleep_limit = -1 };

    ns = policy->begin(policy->opaque, begin, loop_wanted(loop));
    loop->result.faults += ns < 0 || ns > loop->config->params.max_ns;
    if (ns > 0) {
        loop_poll(loop, ns, &wait);
    }
    if (!wait.hit && loop->now < loop->load->timer) {
        loop_block(loop, &wait);
    }
    wait.now = loop->now;
    wait.total_ns = loop->now - begin;
    if (policy->waited) {
        policy->waited(policy->opaque, &wait);
    }
}

/* Handles what is due, and tells the policy once for each handler */
static void loop_dispatch(SimLoop *loop)
{
    int64_t due = loop->now, next;
    uint64_t ready = 0;
    int index;

    while ((next = sim_load_next(loop->load, &index)) <= due) {
        ready |= 1ull << index;
        loop->result.added += loop->now - next;
        loop->result.events++;
        loop->now += SIM_HANDLE_NS;
        sim_load_handle(loop->load, loop->now);
    }
    for (int i = 0; i < SIM_HANDLERS; i++) {
        if (ready & 1ull << i) {
            loop->handler[i].last = due;
            if (loop->policy->event) {
                loop->policy->event(loop->policy->opaque,
                                    &loop->handler[i].poll);
            }
            loop->gap_polled = 0;
        }
    }
}

static void loop_timer(SimLoop *loop)
{
    SimLoad *load = loop->load;

    if (loop->now >= load->timer) {
        load->timer += load->workload->timer_ns;
        load->timer = MAX(load->timer, loop->now);
        loop->result.units += loop->measuring && load->workload->warm_up;
        loop->gap_polled = 0;
    }
}

/* Only the idle time after the warm-up counts, if there is one */
static void loop_measure(SimLoop *loop)
{
    const SimWorkload *w = loop->load->workload;

    if (!loop->measuring && loop->load->requests >= w->warm_up) {
        loop->measuring = true;
        loop->result = (SimResult) { .faults = loop->result.faults };
        loop->start = loop->now;
    }
}

static uint64_t loop_units(const SimLoop *loop)
{
    const SimWorkload *w = loop->load->workload;

    return w && w->warm_up ? loop->result.units : loop->load->requests;
}

SimResult sim_run(const SimConfig *config, SimLoad *load,
                  const SimPolicy *policy)
{
    SimLoop loop = {
        .config = config, .policy = policy, .load = load,
        .measuring = !load->workload || !load->workload->warm_up,
    };

    while (loop_units(&loop) < config->requests &&
           (sim_load_next(load, NULL) < SIM_NEVER ||
            load->timer < SIM_NEVER)) {
        loop_wait(&loop);
        loop_dispatch(&loop);
        loop_timer(&loop);
        loop_measure(&loop);
    }
    /* A trace may be without any completion */
    loop.result.units = MAX(loop_units(&loop), 1);
    loop.result.elapsed = loop.now - loop.start;
    return loop.result;
}

int64_t sim_result_cpu(const SimResult *r)
{
    return r->polled + r->blocks * SIM_BLOCK_NS + r->checks * SIM_CHECK_NS;
}

double sim_result_cost(const SimResult *r, int lambda)
{
    return (sim_result_cpu(r) + (double)lambda * r->added) / 1000 / r->units;
}
