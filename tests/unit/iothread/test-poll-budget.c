/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Limits on polling: poll-cpu-limit, and giving way on a busy host
 */
#include "poll-loop.h"
#include "iothread-tuning/policy/poll-budget.h"

#define SECOND 1000000000ll

/* --- poll-cpu-limit --- */

static void set_limit(Loop *l, int64_t limit)
{
    PollParams params = *poll_policy_params(l->policy);

    params.cpu_limit = limit;
    loop_set(l, &params);
}

/*
 * Events of which every sixth comes too late for polling
 *
 * Returns: the largest excess over @limit within any window of time
 */
static int64_t waste(Loop *l, int64_t limit, int64_t duration)
{
    int64_t start = l->now, least = 0, excess = 0;

    l->vain = 0;
    for (unsigned i = 0; l->now - start < duration; i++) {
        int64_t over;

        least = MIN(least, l->vain - (l->now - start) / 100 * limit);
        loop_gap(l, 0, i % 6 ? 10000 : 40000);
        over = l->vain - (l->now - start) / 100 * limit;
        excess = MAX(excess, over - least);
    }
    return excess;
}

static void test_cpu_limit(void)
{
    static const int64_t limits[] = { 1, 4, 10 };

    for (int kind = 0; kind < POLL_POLICY__MAX; kind++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(limits); i++) {
            Loop l;

            loop_init(&l, kind, 32768);
            set_limit(&l, limits[i]);
            g_assert_cmpint(waste(&l, limits[i], 10 * SECOND), <=,
                            POLL_BUDGET_BURST_NS / 100 * limits[i] + 1000);
            /* ... and it is used, not just obeyed */
            if (kind != POLL_POLICY_PREDICTIVE) {
                g_assert_cmpint(l.vain, >=, SECOND / 100 * limits[i] * 8);
                g_assert_cmpuint(poll_policy_counts(l.policy)->cpu_limited,
                                 >, 0);
            }
            loop_free(&l);
        }
    }
}

static void test_no_limit(void)
{
    Loop l;

    loop_init(&l, POLL_POLICY_CLASSIC, 32768);
    waste(&l, 0, SECOND);
    g_assert_cmpint(l.vain, >=, SECOND / 8);
    g_assert_cmpuint(poll_policy_counts(l.policy)->cpu_limited, ==, 0);
    loop_free(&l);
}

/* Polls that find something cost no budget: they would be latency otherwise */
static void test_hits_are_free(void)
{
    for (int kind = 0; kind < POLL_POLICY__MAX; kind++) {
        Loop l;

        loop_init(&l, kind, 32768);
        set_limit(&l, 1);
        for (int i = 0; i < 50; i++) {
            loop_request(&l, 3000);
        }
        for (int i = 0; i < 100000; i++) {
            loop_request(&l, 3000);
            g_assert_cmpuint(l.blocks, ==, 0);
        }
        loop_free(&l);
    }
}

/* Without budget to poll afterwards there is no use in waking before */
static void test_no_wakeups_without_budget(void)
{
    PollParams params = {
        .kind = POLL_POLICY_PREDICTIVE, .max_ns = 32768,
        .latency_weight = 20, .cpu_limit = 1,
    };
    unsigned blocks = 0;
    Loop l;

    loop_init(&l, POLL_POLICY_PREDICTIVE, 32768);
    loop_set(&l, &params);
    for (int i = 0; i < 6000; i++) {
        /* Wide enough to poll for long, and every third is missed */
        loop_gap(&l, 0, i % 3 ? 94000 + i * 7919 % 14000 : 240000);
        blocks += i >= 5000 ? l.blocks : 0;
        loop_gap(&l, 1, 2000);
    }
    g_assert_cmpuint(poll_policy_counts(l.policy)->cpu_limited, >, 0);
    g_assert_cmpuint(blocks, <=, 1400);
    loop_free(&l);
}

static void test_bucket(void)
{
    PollBudget b;
    int64_t now = 5 * SECOND;

    poll_budget_reset(&b, 10);
    /* Full at first: 10 % of 100 ms */
    g_assert_cmpint(poll_budget_allow(&b, now, SECOND), ==, 10000000);
    g_assert_cmpint(poll_budget_allow(&b, now, 3000), ==, 3000);
    poll_budget_spend(&b, 10000000);
    g_assert_cmpint(poll_budget_allow(&b, now, 3000), ==, 0);
    g_assert_cmpint(poll_budget_allow(&b, now + 20000, 3000), ==, 2000);
    /* Run over: has to be made up for */
    poll_budget_spend(&b, 52000);
    g_assert_cmpint(poll_budget_allow(&b, now + 500000, 3000), ==, 0);
    g_assert_cmpint(poll_budget_allow(&b, now + 550000, 3000), ==, 3000);
    /* A clock that goes back gives and takes nothing */
    g_assert_cmpint(poll_budget_allow(&b, now, 3000), ==, 3000);
    poll_budget_spend(&b, 3000);
    g_assert_cmpint(poll_budget_allow(&b, now, 3000), ==, 0);
    /* However long it was idle, it is full and no fuller */
    g_assert_cmpint(poll_budget_allow(&b, now + 1000000 * SECOND, SECOND), ==,
                    10000000);
    /* Small steps add up */
    poll_budget_spend(&b, 10000000);
    now += 1000000 * SECOND;
    for (int i = 0; i < 100000; i++) {
        poll_budget_allow(&b, now + i, 3000);
    }
    g_assert_cmpint(poll_budget_allow(&b, now + 100000, SECOND), ==, 10000);
}

/* --- giving way --- */

typedef struct Host {
    bool busy;
    bool tells_delay;       /* the kernel says how long we waited to run */
    uint64_t switches, run_delay;
    unsigned samples;
    int64_t sampled;        /* when, 0: never */
} Host;

/* Runs a device of 10 us for @duration, sampling when the policy wants it */
static void run_on_host(Loop *l, Host *host, int64_t duration)
{
    int64_t start = l->now;

    while (l->now - start < duration) {
        loop_request(l, 10000);
        if (!poll_policy_wants_sched(l->policy, l->now)) {
            continue;
        }
        if (host->busy && host->sampled) {
            /* Half the time is others', in slices of 3 ms */
            int64_t elapsed = l->now - host->sampled;

            host->switches += elapsed / 6000000;
            host->run_delay += host->tells_delay ? elapsed / 2 : 0;
        }
        host->samples++;
        host->sampled = l->now;
        poll_policy_sched(l->policy, l->now, host->switches, host->run_delay);
    }
}

static int64_t share_polled(Loop *l, Host *host, int64_t duration)
{
    int64_t polled = 0, start = l->now;

    while (l->now - start < duration) {
        int64_t before = l->now;

        run_on_host(l, host, 1);
        polled += l->blocks ? 0 : l->now - before;
    }
    return polled * 100 / duration;
}

static void check_yields(PollPolicyKind kind, bool tells_delay)
{
    Host host = { .tells_delay = tells_delay, .run_delay = tells_delay };
    uint64_t yields;
    Loop l;

    loop_init(&l, kind, 32768);
    run_on_host(&l, &host, 2 * SECOND);
    g_assert_cmpuint(host.samples, >=, 100);
    g_assert_cmpuint(host.samples, <=, 201);
    g_assert_cmpuint(poll_policy_counts(l.policy)->yields, ==, 0);

    host.busy = true;
    run_on_host(&l, &host, 5 * SECOND);
    yields = poll_policy_counts(l.policy)->yields;
    g_assert_cmpuint(yields, >, 2);
    /* The pauses have become long */
    g_assert_cmpint(share_polled(&l, &host, 10 * SECOND), <=, 20);

    host.busy = false;
    run_on_host(&l, &host, 3 * SECOND);
    yields = poll_policy_counts(l.policy)->yields;
    g_assert_cmpint(share_polled(&l, &host, SECOND), >=, 95);
    g_assert_cmpuint(poll_policy_counts(l.policy)->yields, ==, yields);
    loop_free(&l);
}

static void test_yields(void)
{
    check_yields(POLL_POLICY_WEIGHTED, true);
    check_yields(POLL_POLICY_WEIGHTED, false);
}

/* The device of 10 us is slept for, mostly: look at the count only */
static void test_predictive_yields(void)
{
    Host host = { .busy = true, .tells_delay = true, .run_delay = 1 };
    Loop l;

    loop_init(&l, POLL_POLICY_PREDICTIVE, 32768);
    run_on_host(&l, &host, 5 * SECOND);
    g_assert_cmpuint(poll_policy_counts(l.policy)->yields, >, 2);
    loop_free(&l);
}

/* Others may want it to behave as it always did */
static void test_classic_never_yields(void)
{
    Host host = { .busy = true, .tells_delay = true };
    Loop l;

    loop_init(&l, POLL_POLICY_CLASSIC, 32768);
    run_on_host(&l, &host, 2 * SECOND);
    g_assert_cmpuint(host.samples, ==, 0);
    g_assert_cmpuint(poll_policy_counts(l.policy)->yields, ==, 0);
    loop_free(&l);
}

/* Choosing classic ends a pause of the policy before */
static void test_classic_ends_pause(void)
{
    Host host = { .busy = true, .tells_delay = true, .run_delay = 1 };
    PollParams params = { .kind = POLL_POLICY_CLASSIC, .max_ns = 32768 };
    Loop l;

    loop_init(&l, POLL_POLICY_WEIGHTED, 32768);
    while (!poll_policy_counts(l.policy)->yields) {
        run_on_host(&l, &host, 1000000);
    }
    loop_set(&l, &params);
    for (int i = 0; i < 10; i++) {
        loop_request(&l, 10000);
    }
    g_assert_cmpuint(l.blocks, ==, 0);
    loop_free(&l);
}

/* A thread that does not poll is not asked about, and not blamed */
static void test_idle_is_not_sampled(void)
{
    PollYield y;

    poll_yield_reset(&y);
    g_assert_false(poll_yield_sample(&y, SECOND, 0, 1));
    /* Waited long in the run queue, but for its work, not for polling */
    for (int i = 1; i < 100; i++) {
        int64_t now = SECOND + i * 10000000ll;

        poll_yield_polled(&y, 100000);
        g_assert_false(poll_yield_sample(&y, now, i * 5, 1 + i * 9000000ll));
    }
    g_assert_false(poll_yield_paused(&y, 3 * SECOND));
}

/* One hiccup in a while is no overcommitment */
static void test_hiccups(void)
{
    PollYield y;
    uint64_t delay = 1;

    poll_yield_reset(&y);
    for (int i = 0; i < 1000; i++) {
        int64_t now = SECOND + i * 10000000ll;

        delay += i % 20 == 0 ? 2000000 : 10000;
        poll_yield_polled(&y, 9000000);
        g_assert_false(poll_yield_sample(&y, now, i / 20, delay));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/poll-budget/bucket", test_bucket);
    g_test_add_func("/poll-budget/cpu-limit", test_cpu_limit);
    g_test_add_func("/poll-budget/no-limit", test_no_limit);
    g_test_add_func("/poll-budget/hits-are-free", test_hits_are_free);
    g_test_add_func("/poll-budget/no-wakeups-without-budget",
                    test_no_wakeups_without_budget);
    g_test_add_func("/poll-budget/yields", test_yields);
    g_test_add_func("/poll-budget/predictive-yields", test_predictive_yields);
    g_test_add_func("/poll-budget/classic-never-yields",
                    test_classic_never_yields);
    g_test_add_func("/poll-budget/classic-ends-pause",
                    test_classic_ends_pause);
    g_test_add_func("/poll-budget/idle-is-not-sampled",
                    test_idle_is_not_sampled);
    g_test_add_func("/poll-budget/hiccups", test_hiccups);
    return g_test_run();
}
