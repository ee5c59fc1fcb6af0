/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The classic policy against the algorithm of QEMU 10.0.13
 */
#include "poll-loop.h"

/* What adjust_polling_time() of util/aio-posix.c does, line by line */
typedef struct Stock {
    int64_t poll_max_ns;
    int64_t poll_grow;
    int64_t poll_shrink;
} Stock;

static void stock_adjust(const Stock *ctx, int64_t *poll_ns, int64_t block_ns)
{
    if (block_ns <= *poll_ns) {
        /* sweet spot */
    } else if (block_ns > ctx->poll_max_ns) {
        if (ctx->poll_shrink) {
            *poll_ns /= ctx->poll_shrink;
        } else {
            *poll_ns = 0;
        }
    } else if (*poll_ns < ctx->poll_max_ns && block_ns < ctx->poll_max_ns) {
        int64_t grow = ctx->poll_grow;

        if (grow == 0) {
            grow = 2;
        }
        if (*poll_ns) {
            *poll_ns *= grow;
        } else {
            *poll_ns = 4000;
        }
        if (*poll_ns > ctx->poll_max_ns) {
            *poll_ns = ctx->poll_max_ns;
        }
    }
}

static PollPolicy *classic_new(int64_t max_ns, int64_t grow, int64_t shrink)
{
    PollPolicy *p = poll_policy_new();
    PollParams params = {
        .kind = POLL_POLICY_CLASSIC,
        .max_ns = max_ns, .grow = grow, .shrink = shrink,
    };

    poll_policy_set(p, &params);
    return p;
}

/* A wait of @ns in all, polling and blocking, after which @h is ready */
static int64_t classic_wait(PollPolicy *p, PollHandler *h, int64_t ns)
{
    static int64_t now = 1000;
    int64_t poll = poll_policy_begin(p, now, h->ns);
    PollWait wait = {
        .total_ns = ns, .sleep_limit = -1,
        .polled = poll > 0, .hit = poll > 0 && ns <= poll,
        .polled_ns = MIN(poll, ns), .slept_ns = MAX(ns - poll, 0),
    };

    wait.slept = wait.woken = !wait.hit;
    if (wait.slept) {
        g_assert_cmpint(poll_policy_sleep(p, now + poll), ==, -1);
    }
    now += ns;
    wait.now = now;
    poll_policy_waited(p, &wait);
    poll_policy_event(p, h);
    return poll;
}

typedef struct Step {
    int64_t wait;           /* how long the event took to come */
    int64_t poll;           /* what is polled for meanwhile */
} Step;

static void check_steps(PollPolicy *p, const Step *steps, int n)
{
    PollHandler h = {};

    for (int i = 0; i < n; i++) {
        g_assert_cmpint(classic_wait(p, &h, steps[i].wait), ==,
                        steps[i].poll);
    }
    poll_policy_free(p);
}

static void test_grow(void)
{
    static const Step steps[] = {
        { 20000, 0 },       /* starts at 4 us */
        { 20000, 4000 },
        { 20000, 8000 },
        { 20000, 16000 },   /* 32 us */
        { 20000, 32000 },   /* sweet spot */
        { 32001, 32000 },   /* grows, to the maximum */
        { 32768, 32768 },
        { 5, 32768 },       /* does not shrink for short ones */
        { 20000, 32768 },
    };

    check_steps(classic_new(32768, 0, 0), steps, G_N_ELEMENTS(steps));
}

/* The time that counts is that since aio_poll() began, polling included */
static void test_wait_includes_polling(void)
{
    static const Step steps[] = {
        { 3000, 0 },
        { 6000, 4000 },     /* 4 us polled, 2 us blocked: more than 4 us */
        { 8000, 8000 },     /* just in time */
        { 8001, 8000 },
        { 0, 16000 },
    };

    check_steps(classic_new(100000, 0, 0), steps, G_N_ELEMENTS(steps));
}

static void test_shrink_resets(void)
{
    static const Step steps[] = {
        { 10000, 0 },
        { 10000, 4000 },
        { 50000, 8000 },    /* longer than the maximum */
        { 10000, 0 },
        { 10000, 4000 },
    };

    check_steps(classic_new(32768, 0, 0), steps, G_N_ELEMENTS(steps));
}

static void test_factors(void)
{
    static const Step steps[] = {
        { 20000, 0 },
        { 20000, 4000 },
        { 20000, 12000 },   /* 36 us */
        { 70000, 36000 },   /* a fourth */
        { 70000, 9000 },
        { 70000, 2250 },
        { 20000, 562 },     /* grows from where it is, not from 4 us */
        { 20000, 1686 },
    };

    check_steps(classic_new(60000, 3, 4), steps, G_N_ELEMENTS(steps));
}

static void test_limits(void)
{
    /* Exactly the maximum: neither too long, nor worth growing for */
    static const Step exact[] = { { 32768, 0 }, { 32768, 0 }, { 32767, 0 },
                                  { 32768, 4000 }, { 32768, 4000 } };
    /* The start is cut to the maximum as well */
    static const Step small[] = { { 500, 0 }, { 500, 1000 }, { 1000, 1000 },
                                  { 1001, 1000 }, { 1001, 0 } };
    /* A factor of 1 stays what it is, which is what QEMU does */
    static const Step one[] = { { 20000, 0 }, { 20000, 4000 },
                                { 20000, 4000 }, { 99999, 4000 },
                                { 99999, 4000 } };

    check_steps(classic_new(32768, 0, 0), exact, G_N_ELEMENTS(exact));
    check_steps(classic_new(1000, 0, 0), small, G_N_ELEMENTS(small));
    check_steps(classic_new(32768, 1, 1), one, G_N_ELEMENTS(one));
}

static void test_no_overflow(void)
{
    PollPolicy *p = classic_new(POLL_MAX_NS_LIMIT, POLL_FACTOR_LIMIT, 0);
    PollHandler h = {};

    for (int i = 0; i < 100; i++) {
        classic_wait(p, &h, POLL_MAX_NS_LIMIT - 1);
        g_assert_cmpint(h.ns, <=, POLL_MAX_NS_LIMIT);
        g_assert_cmpint(h.ns, >=, 4000);
    }
    g_assert_cmpint(h.ns, ==, POLL_MAX_NS_LIMIT);
    poll_policy_free(p);
}

/* Waits that are near a limit are the interesting ones */
static int64_t random_wait(GRand *rand, const Stock *ctx, int64_t poll_ns)
{
    switch (g_rand_int_range(rand, 0, 5)) {
    case 0:
        return poll_ns + g_rand_int_range(rand, 0, 3) - (poll_ns > 0);
    case 1:
        return ctx->poll_max_ns + g_rand_int_range(rand, 0, 3) -
               (ctx->poll_max_ns > 0);
    case 2:
        return g_rand_double(rand) * ctx->poll_max_ns;
    case 3:
        return g_rand_double(rand) * 1e9;
    default:
        return g_rand_double(rand) * 8000;
    }
}

#define RANDOM_HANDLERS 5

/* One wait with some handlers ready, by both implementations */
static void compare_step(PollPolicy *p, const Stock *ctx, GRand *rand,
                         int64_t *now, PollHandler *h, int64_t *stock_ns)
{
    int64_t max_ns = 0, waited;
    PollWait wait = { .sleep_limit = -1 };

    for (int i = 0; i < RANDOM_HANDLERS; i++) {
        max_ns = MAX(max_ns, stock_ns[i]);
    }
    g_assert_cmpint(poll_policy_begin(p, *now, max_ns), ==, max_ns);
    waited = random_wait(rand, ctx, max_ns);
    wait.total_ns = waited;
    wait.polled = max_ns > 0;
    wait.hit = waited <= max_ns;
    wait.polled_ns = MIN(waited, max_ns);
    wait.slept = wait.woken = !wait.hit;
    wait.slept_ns = waited - wait.polled_ns;
    *now += waited;
    wait.now = *now;
    poll_policy_waited(p, &wait);
    for (int i = 0; i < RANDOM_HANDLERS; i++) {
        if (g_rand_int_range(rand, 0, 3) == 0) {
            poll_policy_event(p, &h[i]);
            stock_adjust(ctx, &stock_ns[i], waited);
        }
        g_assert_cmpint(h[i].ns, ==, stock_ns[i]);
    }
}

static void test_differential(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1013);
    static const int64_t max_ns[] = { 1, 4000, 32768, 200000, 1000000000 };

    for (int run = 0; run < 400; run++) {
        Stock ctx = {
            .poll_max_ns = max_ns[run % G_N_ELEMENTS(max_ns)],
            .poll_grow = g_rand_int_range(rand, 0, POLL_FACTOR_LIMIT + 1),
            .poll_shrink = g_rand_int_range(rand, 0, POLL_FACTOR_LIMIT + 1),
        };
        PollPolicy *p = classic_new(ctx.poll_max_ns, ctx.poll_grow,
                                    ctx.poll_shrink);
        PollHandler h[RANDOM_HANDLERS] = {};
        int64_t stock_ns[RANDOM_HANDLERS] = {}, now = 12345;

        for (int i = 0; i < 500; i++) {
            compare_step(p, &ctx, rand, &now, h, stock_ns);
        }
        poll_policy_free(p);
    }
}

/* The loop is never told to sleep with a limit, and nothing is cleared */
static void test_is_stock(void)
{
    PollPolicy *p = poll_policy_new();
    const PollPolicyOps *ops = poll_policy_ops(p);

    g_assert_true(ops == &poll_classic_ops);
    g_assert_cmpstr(ops->name, ==, "classic");
    g_assert_true(ops->uses_handler_ns);
    g_assert_true(ops->stock);
    g_assert_cmpint(poll_policy_params(p)->max_ns, ==, 0);
    g_assert_cmpint(poll_policy_params(p)->cpu_limit, ==, 0);
    g_assert_cmpint(poll_policy_begin(p, 5, 0), ==, 0);
    g_assert_cmpint(poll_policy_sleep(p, 5), ==, -1);
    poll_policy_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/poll-classic/is-stock", test_is_stock);
    g_test_add_func("/poll-classic/grow", test_grow);
    g_test_add_func("/poll-classic/wait-includes-polling",
                    test_wait_includes_polling);
    g_test_add_func("/poll-classic/shrink-resets", test_shrink_resets);
    g_test_add_func("/poll-classic/factors", test_factors);
    g_test_add_func("/poll-classic/limits", test_limits);
    g_test_add_func("/poll-classic/no-overflow", test_no_overflow);
    g_test_add_func("/poll-classic/differential", test_differential);
    return g_test_run();
}
