/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The weighted policy
 */
#include "poll-loop.h"

/* Requests of which the events that polling missed are counted */
static unsigned missed(Loop *l, int requests, int64_t ns)
{
    unsigned n = 0;

    for (int i = 0; i < requests; i++) {
        n += !loop_gap(l, 0, ns);
        n += !loop_gap(l, 1, 2000);
    }
    return n;
}

static int64_t weight_set(int64_t weight)
{
    PollPolicy *p = poll_policy_new();
    PollParams params = { .kind = POLL_POLICY_WEIGHTED, .weight = weight };
    int64_t result;

    poll_policy_set(p, &params);
    result = poll_policy_params(p)->weight;
    poll_policy_free(p);
    return result;
}

static void test_weight_zero_is_default(void)
{
    g_assert_cmpint(weight_set(0), ==, POLL_WEIGHT_DEFAULT);
    g_assert_cmpint(weight_set(1), ==, 1);
    g_assert_cmpint(weight_set(POLL_WEIGHT_LIMIT), ==, POLL_WEIGHT_LIMIT);
}

/*
 * Were the other handler's time added to a handler's own, devices from about
 * half of poll-max-ns on would be taken to be too slow to poll for.
 */
static void test_alternating(void)
{
    for (int64_t ns = 8000; ns <= 32000; ns += 1000) {
        Loop l;

        loop_init(&l, POLL_POLICY_WEIGHTED, 32768);
        missed(&l, 50, ns);
        g_assert_cmpuint(missed(&l, 1000, ns), ==, 0);
        loop_free(&l);
    }
}

static void test_jitter(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    unsigned n = 0;
    Loop l;

    loop_init(&l, POLL_POLICY_WEIGHTED, 32768);
    for (int i = 0; i < 2000; i++) {
        n += missed(&l, 1, g_rand_int_range(rand, 18000, 22000));
    }
    g_assert_cmpuint(n, <, 200);
    loop_free(&l);
}

/* Events that never come in time are not polled for */
static void test_too_slow(void)
{
    Loop l;

    loop_init(&l, POLL_POLICY_WEIGHTED, 32768);
    for (int i = 0; i < 50; i++) {
        loop_gap(&l, 0, 500000);
    }
    l.vain = 0;
    for (int i = 0; i < 100; i++) {
        loop_gap(&l, 0, 500000);
    }
    g_assert_cmpint(l.vain, ==, 0);
    loop_free(&l);
}

/* One long gap must not stop polling, nor be remembered for long */
static void test_outlier(void)
{
    Loop l;

    loop_init(&l, POLL_POLICY_WEIGHTED, 32768);
    missed(&l, 100, 10000);
    loop_gap(&l, 0, 1000000000000);
    loop_gap(&l, 1, 2000);
    g_assert_cmpuint(missed(&l, 20, 10000), <=, 2);
    loop_free(&l);
}

static unsigned requests_until(Loop *l, int64_t ns, bool polled)
{
    unsigned n = 0, run = 0;

    /* Twenty in a row, so that luck is not taken for learning */
    for (; run < 20; n++) {
        bool hit = loop_gap(l, 0, ns);

        run = hit == polled && (polled || !l->polled) ? run + 1 : 0;
        loop_gap(l, 1, 2000);
        g_assert_cmpuint(n, <, 2000);
    }
    return n - run;
}

static void test_change_of_load(void)
{
    Loop l;

    loop_init(&l, POLL_POLICY_WEIGHTED, 32768);
    g_assert_cmpuint(requests_until(&l, 10000, true), <=, 2);
    missed(&l, 1000, 10000);
    g_assert_cmpuint(requests_until(&l, 25000, true), <=, 30);
    missed(&l, 1000, 25000);
    loop_free(&l);
}

/* A handler that has no more events stops counting */
static void test_idle_handler_ages(void)
{
    Loop l;

    loop_init(&l, POLL_POLICY_WEIGHTED, 32768);
    for (int i = 0; i < 100; i++) {
        loop_gap(&l, 0, 30000);
        loop_gap(&l, 1, 3000);
    }
    g_assert_cmpint(poll_policy_begin(l.policy, l.now, 0), >=, 30000);
    l.over = true;
    for (int i = 0; i < 16; i++) {
        loop_gap(&l, 2, 5000);
    }
    g_assert_cmpint(poll_policy_begin(l.policy, l.now, 0), <=, 10000);
    loop_free(&l);
}

/* Woken by timers, over and over, it polls once and not each time */
static void test_idle(void)
{
    Loop l;

    loop_init(&l, POLL_POLICY_WEIGHTED, 32768);
    missed(&l, 100, 20000);
    l.vain = 0;
    for (int i = 0; i < 1000; i++) {
        loop_wait(&l, LOOP_NEVER, l.now + 100000);
    }
    g_assert_cmpint(l.vain, <=, 32768);
    loop_free(&l);
}

static void test_extreme_weight(void)
{
    PollParams params = {
        .kind = POLL_POLICY_WEIGHTED, .max_ns = POLL_MAX_NS_LIMIT,
        .weight = POLL_WEIGHT_LIMIT,
    };
    Loop l;

    loop_init(&l, POLL_POLICY_WEIGHTED, 32768);
    loop_set(&l, &params);
    for (int i = 0; i < 1000; i++) {
        loop_gap(&l, i % 3, i % 7 ? 1000 : 2000000000);
    }
    loop_free(&l);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/poll-weighted/weight-zero-is-default",
                    test_weight_zero_is_default);
    g_test_add_func("/poll-weighted/alternating", test_alternating);
    g_test_add_func("/poll-weighted/jitter", test_jitter);
    g_test_add_func("/poll-weighted/too-slow", test_too_slow);
    g_test_add_func("/poll-weighted/outlier", test_outlier);
    g_test_add_func("/poll-weighted/change-of-load", test_change_of_load);
    g_test_add_func("/poll-weighted/idle-handler-ages",
                    test_idle_handler_ages);
    g_test_add_func("/poll-weighted/idle", test_idle);
    g_test_add_func("/poll-weighted/extreme-weight", test_extreme_weight);
    return g_test_run();
}
