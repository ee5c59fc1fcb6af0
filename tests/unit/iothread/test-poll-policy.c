/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What holds for every polling policy
 */
#include "poll-loop.h"

static const char *const names[POLL_POLICY__MAX] = {
    [POLL_POLICY_CLASSIC] = "classic",
    [POLL_POLICY_WEIGHTED] = "weighted",
    [POLL_POLICY_PREDICTIVE] = "predictive",
};

static void test_names(void)
{
    for (int kind = 0; kind < POLL_POLICY__MAX; kind++) {
        Loop l;

        loop_init(&l, kind, 1000);
        g_assert_cmpstr(poll_policy_ops(l.policy)->name, ==, names[kind]);
        g_assert_cmpint(poll_policy_params(l.policy)->kind, ==, kind);
        loop_free(&l);
    }
}

static void test_valid(void)
{
    PollParams good = { .max_ns = POLL_MAX_NS_LIMIT };
    int64_t *const fields[] = {
        &good.max_ns, &good.grow, &good.shrink, &good.weight,
        &good.latency_weight, &good.cpu_limit,
    };
    const int64_t limits[] = {
        POLL_MAX_NS_LIMIT, POLL_FACTOR_LIMIT, POLL_FACTOR_LIMIT,
        POLL_WEIGHT_LIMIT, POLL_LATENCY_WEIGHT_LIMIT, POLL_CPU_LIMIT_LIMIT,
    };

    g_assert_true(poll_params_valid(&good));
    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        const int64_t bad[] = { -1, limits[i] + 1, INT64_MIN, INT64_MAX };
        int64_t old = *fields[i];

        for (unsigned j = 0; j < G_N_ELEMENTS(bad); j++) {
            *fields[i] = bad[j];
            g_assert_false(poll_params_valid(&good));
        }
        *fields[i] = limits[i];
        g_assert_true(poll_params_valid(&good));
        *fields[i] = old;
    }
    good.kind = POLL_POLICY__MAX;
    g_assert_false(poll_params_valid(&good));
}

/* Without poll-max-ns there is no polling, and no waking for it either */
static void test_off(void)
{
    for (int kind = 0; kind < POLL_POLICY__MAX; kind++) {
        Loop l;

        loop_init(&l, kind, 0);
        for (int i = 0; i < 1000; i++) {
            int64_t gap = i % 5 * 7000;

            g_assert_false(loop_gap(&l, i % 3, gap));
            g_assert_cmpint(l.polled, ==, 0);
        }
        loop_free(&l);
    }
}

/* --- random sequences --- */

static int64_t pick(GRand *rand, const int64_t *values, int n)
{
    return values[g_rand_int_range(rand, 0, n)];
}

static PollParams random_params(GRand *rand)
{
    static const int64_t max_ns[] = { 1, 900, 8000, 32768, 200000, 1000000000 };
    static const int64_t factor[] = { 0, 1, 2, 16 };
    static const int64_t weight[] = { 0, 1, 3, 63 };
    static const int64_t latency_weight[] = { 0, 1, 5, 1000 };
    static const int64_t cpu_limit[] = { 0, 0, 1, 30, 100 };

    return (PollParams) {
        .kind = g_rand_int_range(rand, 0, POLL_POLICY__MAX),
        .max_ns = pick(rand, max_ns, G_N_ELEMENTS(max_ns)),
        .grow = pick(rand, factor, G_N_ELEMENTS(factor)),
        .shrink = pick(rand, factor, G_N_ELEMENTS(factor)),
        .weight = pick(rand, weight, G_N_ELEMENTS(weight)),
        .latency_weight = pick(rand, latency_weight,
                               G_N_ELEMENTS(latency_weight)),
        .cpu_limit = pick(rand, cpu_limit, G_N_ELEMENTS(cpu_limit)),
    };
}

static int64_t random_gap(GRand *rand)
{
    static const int64_t scale[] = {
        0, 1, 600, 5000, 30000, 40000, 300000, 2000000, 3000000000,
        1000000000000000000 / 4096,
    };

    return pick(rand, scale, G_N_ELEMENTS(scale)) *
           (g_rand_int_range(rand, 0, 5) ? 1 : g_rand_double(rand));
}

/* Waits until the event, with timers and clock corrections in between */
static void random_wait(Loop *l, GRand *rand, int64_t due)
{
    const PollParams *params = poll_policy_params(l->policy);
    int waits = 0, zero_sleeps = 0;

    for (bool found = false; !found;) {
        bool timers = ++waits < 20 && g_rand_int_range(rand, 0, 4) == 0;
        int64_t before = l->now, polled = l->polled;

        g_assert_cmpint(waits, <, 40);
        found = loop_wait(l, due, timers ? l->now + random_gap(rand) :
                          LOOP_NEVER);
        /* Classic does not know gaps: it polls anew in each wait */
        if (params->kind != POLL_POLICY_CLASSIC) {
            g_assert_cmpint(l->polled, <=, params->max_ns);
        }
        /* To be told not to sleep, and then not to poll, would spin */
        zero_sleeps = !timers && l->now == before && l->polled == polled ?
                      zero_sleeps + 1 : 0;
        g_assert_cmpint(zero_sleeps, <=, 1);
        if (g_rand_int_range(rand, 0, 50) == 0) {
            l->now -= g_rand_int_range(rand, 0, 200);
        }
    }
}

static void random_events(Loop *l, GRand *rand)
{
    int n = g_rand_int_range(rand, 0, 8) ? 1 : 3;

    for (int i = 0; i < n; i++) {
        loop_event(l, g_rand_int_range(rand, 0, 10) ?
                   g_rand_int_range(rand, 0, 4) :
                   g_rand_int_range(rand, 0, LOOP_HANDLERS));
    }
}

static void random_run(GRand *rand)
{
    Loop l;

    loop_init(&l, POLL_POLICY_CLASSIC, 0);
    for (int i = 0; i < 40; i++) {
        PollParams params = random_params(rand);
        int events = g_rand_int_range(rand, 1, 600);

        loop_set(&l, &params);
        poll_policy_block_cost(l.policy, random_gap(rand));
        for (int n = 0; n < events; n++) {
            if (g_rand_int_range(rand, 0, 100) == 0) {
                l.wake_ns = g_rand_int_range(rand, 0, 50000);
            }
            random_wait(&l, rand, l.now + random_gap(rand));
            random_events(&l, rand);
        }
    }
    loop_free(&l);
}

static void test_random(void)
{
    for (int seed = 0; seed < 30; seed++) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

        random_run(rand);
    }
}

/* What was measured is kept within what a block can cost */
static void test_block_cost(void)
{
    Loop l;

    loop_init(&l, POLL_POLICY_PREDICTIVE, 32768);
    for (int i = 0; i < 100; i++) {
        poll_policy_block_cost(l.policy, i % 2 ? INT64_MAX : -5);
    }
    for (int i = 0; i < 300; i++) {
        loop_request(&l, 3000);
    }
    g_assert_cmpint(l.late, <=, 4000);
    for (int i = 0; i < 100; i++) {
        poll_policy_block_cost(l.policy, 1800);
    }
    g_assert_cmpint(ABS((int64_t)poll_policy_counts(l.policy)->block_cpu -
                        1800), <=, 10);
    loop_free(&l);
}

/* --- changes while it runs --- */

static void test_set_forgets(void)
{
    PollParams params;
    Loop l;

    loop_init(&l, POLL_POLICY_PREDICTIVE, 32768);
    for (int i = 0; i < 500; i++) {
        loop_request(&l, 10000);
    }
    params = *poll_policy_params(l.policy);
    g_assert_cmpuint(poll_policy_counts(l.policy)->replans, >, 0);

    for (int kind = 0; kind < POLL_POLICY__MAX; kind++) {
        uint64_t replans = poll_policy_counts(l.policy)->replans;

        params.kind = kind;
        loop_set(&l, &params);
        g_assert_cmpuint(poll_policy_counts(l.policy)->replans, ==, replans);
        g_assert_false(loop_gap(&l, 0, 10000));
        g_assert_cmpint(l.polled, ==, 0);
        for (int i = 0; i < 100; i++) {
            loop_request(&l, 10000);
        }
    }
    loop_free(&l);
}

/* In the middle of a wait, where the event loop may take over new ones */
static void test_set_within_gap(void)
{
    for (int from = 0; from < POLL_POLICY__MAX; from++) {
        for (int to = 0; to < POLL_POLICY__MAX; to++) {
            PollParams params = { .kind = to, .max_ns = 50000 };
            Loop l;

            loop_init(&l, from, 32768);
            for (int i = 0; i < 300; i++) {
                loop_request(&l, 20000);
            }
            loop_wait(&l, LOOP_NEVER, l.now + 10000);
            loop_set(&l, &params);
            loop_wait(&l, LOOP_NEVER, l.now + 10000);
            g_assert_cmpint(l.polled, ==, 0);
            for (int i = 0; i < 300; i++) {
                loop_request(&l, 20000);
            }
            g_assert_cmpint(poll_policy_params(l.policy)->max_ns, ==, 50000);
            loop_free(&l);
        }
    }
}

/* A loop that is at it all day long allocates nothing without bounds */
static void test_set_often(void)
{
    Loop l;

    loop_init(&l, POLL_POLICY_PREDICTIVE, 32768);
    for (int i = 0; i < 2000; i++) {
        PollParams params = { .kind = i % POLL_POLICY__MAX, .max_ns = i };

        loop_set(&l, &params);
        loop_request(&l, 5000);
        loop_gap(&l, i % LOOP_HANDLERS, 100);
    }
    loop_free(&l);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/poll-policy/names", test_names);
    g_test_add_func("/poll-policy/valid", test_valid);
    g_test_add_func("/poll-policy/off", test_off);
    g_test_add_func("/poll-policy/random", test_random);
    g_test_add_func("/poll-policy/block-cost", test_block_cost);
    g_test_add_func("/poll-policy/set-forgets", test_set_forgets);
    g_test_add_func("/poll-policy/set-within-gap", test_set_within_gap);
    g_test_add_func("/poll-policy/set-often", test_set_often);
    return g_test_run();
}
