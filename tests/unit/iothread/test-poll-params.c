/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Polling parameters that one thread sets while another one uses them
 */
#include <glib.h>
#include "iothread-tuning/loop/poll-params.h"

#define ROUNDS 200000

/* All values of a set follow from @n, so that a mixture of two shows */
static PollParams params_of(unsigned n)
{
    return (PollParams) {
        .kind = n % POLL_POLICY__MAX,
        .max_ns = n,
        .grow = n % (POLL_FACTOR_LIMIT + 1),
        .shrink = n % (POLL_FACTOR_LIMIT - 1),
        .weight = n % (POLL_WEIGHT_LIMIT + 1),
        .latency_weight = n % (POLL_LATENCY_WEIGHT_LIMIT + 1),
        .cpu_limit = n % (POLL_CPU_LIMIT_LIMIT + 1),
    };
}

static void assert_whole(const PollParams *p)
{
    PollParams expected = params_of(p->max_ns);

    g_assert_cmpint(p->kind, ==, expected.kind);
    g_assert_cmpint(p->grow, ==, expected.grow);
    g_assert_cmpint(p->shrink, ==, expected.shrink);
    g_assert_cmpint(p->weight, ==, expected.weight);
    g_assert_cmpint(p->latency_weight, ==, expected.latency_weight);
    g_assert_cmpint(p->cpu_limit, ==, expected.cpu_limit);
}

static void test_valid(void)
{
    PollParams good = params_of(POLL_MAX_NS_LIMIT);
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

static void test_take(void)
{
    PollParamsShared shared = {};
    PollParams params = params_of(7), taken;
    uint32_t seen = 0;

    g_assert_false(poll_params_changed(&shared, seen));
    poll_params_publish(&shared, &params);
    g_assert_true(poll_params_changed(&shared, seen));
    g_assert_true(poll_params_take(&shared, &taken, &seen));
    g_assert_cmpint(taken.max_ns, ==, 7);
    assert_whole(&taken);
    g_assert_false(poll_params_changed(&shared, seen));
}

/* A writer that is at it is not waited for, and nothing is stored */
static void test_busy_writer(void)
{
    PollParamsShared shared = {};
    PollParams params = params_of(7), taken = params_of(9);
    uint32_t seen = 42;

    poll_params_publish(&shared, &params);
    shared.sequence++;
    g_assert_false(poll_params_take(&shared, &taken, &seen));
    g_assert_cmpuint(seen, ==, 42);
    g_assert_cmpint(taken.max_ns, ==, 9);
}

static gpointer writer(gpointer opaque)
{
    for (unsigned n = 1; n <= ROUNDS; n++) {
        PollParams params = params_of(n);

        poll_params_publish(opaque, &params);
    }
    return NULL;
}

static void test_concurrent(void)
{
    PollParamsShared shared = {};
    GThread *thread = g_thread_new("writer", writer, &shared);
    PollParams taken = {};
    uint32_t seen = 0;
    int64_t latest = 0;

    while (latest < ROUNDS) {
        if (poll_params_changed(&shared, seen) &&
            poll_params_take(&shared, &taken, &seen)) {
            assert_whole(&taken);
            g_assert_cmpint(taken.max_ns, >=, latest);
            latest = taken.max_ns;
        }
    }
    g_thread_join(thread);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/poll-params/valid", test_valid);
    g_test_add_func("/poll-params/take", test_take);
    g_test_add_func("/poll-params/busy-writer", test_busy_writer);
    g_test_add_func("/poll-params/concurrent", test_concurrent);
    return g_test_run();
}
