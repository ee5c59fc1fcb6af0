/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Plans against the best of a search through all of them, and what they are
 * made from: the histogram of gaps and the latency of waking
 */
#include <glib.h>
#include <math.h>
#include "iothread-tuning/policy/poll-plan.h"

#define US 1000
#define SAMPLES 400

/* --- the histogram --- */

static void test_buckets(void)
{
    unsigned last = 0;

    for (int64_t ns = 0; ns < 4000000; ns += 1 + ns / 300) {
        unsigned bucket = gap_bucket(ns);

        g_assert_cmpuint(bucket, >=, last);
        g_assert_cmpuint(bucket, <=, last + 1);
        g_assert_cmpint(gap_bucket_start(bucket), <=, ns);
        g_assert_cmpint(gap_bucket_start(bucket + 1), >, ns);
        last = bucket;
    }
    g_assert_cmpuint(last, ==, GAP_OVERFLOW);
    for (unsigned i = 0; i < GAP_OVERFLOW; i++) {
        g_assert_cmpuint(gap_bucket(gap_bucket_start(i)), ==, i);
        g_assert_cmpuint(gap_bucket(gap_bucket_start(i + 1) - 1), ==, i);
    }
    g_assert_cmpuint(gap_bucket(INT64_MAX), ==, GAP_OVERFLOW);
}

static float weight_sum(const GapHistogram *g)
{
    float sum = 0;

    for (int i = 0; i < GAP_BUCKETS; i++) {
        sum += g->weight[i];
    }
    return sum;
}

/* Newer samples count for more, and no number of them runs out of a float */
static void test_memory(void)
{
    GapHistogram g;
    unsigned old = gap_bucket(10 * US), new = gap_bucket(100 * US);

    gap_histogram_reset(&g);
    for (int i = 0; i < 1000000; i++) {
        gap_histogram_add(&g, 10 * US);
    }
    g_assert_cmpfloat(g.weight[old] / g.total, >, 0.999);
    for (int i = 0; i < GAP_MEMORY; i++) {
        gap_histogram_add(&g, 100 * US);
    }
    g_assert_cmpfloat(g.weight[new] / g.total, >, 0.6);
    g_assert_cmpfloat(g.weight[new] / g.total, <, 0.67);
    g_assert_cmpfloat_with_epsilon(weight_sum(&g) / g.total, 1, 0.001);
    for (int i = 0; i < 20 * GAP_MEMORY; i++) {
        gap_histogram_add(&g, 100 * US);
    }
    g_assert_cmpfloat(g.weight[old] / g.total, <, 0.000001);
}

static void test_surprise(void)
{
    GapHistogram g;

    gap_histogram_reset(&g);
    g_assert_true(gap_histogram_add(&g, 10 * US));
    g_assert_false(gap_histogram_add(&g, 10 * US));
    g_assert_false(gap_histogram_add(&g, 10 * US + 100));
    g_assert_true(gap_histogram_add(&g, 500 * US));
    for (int i = 0; i < 100; i++) {
        gap_histogram_add(&g, 10 * US);
    }
    g_assert_true(gap_histogram_add(&g, 0));
    g_assert_true(gap_histogram_add(&g, INT64_MAX));
    /* Nearly the same gap is none, in other buckets as well */
    g_assert_false(gap_histogram_add(&g, 10 * US + 600));
    g_assert_false(gap_histogram_add(&g, 10 * US - 600));
}

static void test_forget(void)
{
    GapHistogram g;

    gap_histogram_reset(&g);
    for (int i = 0; i < 1000; i++) {
        gap_histogram_add(&g, 10 * US);
    }
    gap_histogram_forget(&g);
    for (int i = 0; i < 50; i++) {
        gap_histogram_add(&g, 100 * US);
    }
    g_assert_cmpfloat(g.weight[gap_bucket(100 * US)] / g.total, >, 0.5);
    g_assert_cmpfloat_with_epsilon(weight_sum(&g) / g.total, 1, 0.001);
}

/* --- the latency of waking --- */

static void learn(WakeLatency *w, int64_t limit, int64_t late)
{
    for (int i = 0; i < 40; i++) {
        wake_latency_sample(w, 1, limit, late);
    }
}

static void test_wake_latency(void)
{
    WakeLatency w = {};
    unsigned generation;

    g_assert_true(wake_latency_due(&w, 30 * US));
    g_assert_cmpint(wake_latency_mean(&w, 30 * US), >, 0);
    learn(&w, 30 * US, 5000);
    g_assert_cmpint(ABS(wake_latency_mean(&w, 30 * US) - 5000), <=, 50);
    g_assert_false(wake_latency_due(&w, 30 * US));
    g_assert_false(wake_latency_stale(&w, 99999 * US, 30 * US));
    g_assert_true(wake_latency_stale(&w, 100001 * US, 30 * US));
    /* Nothing better is known of other sleeps */
    g_assert_cmpint(ABS(wake_latency_mean(&w, 900 * US) - 5000), <=, 50);
    learn(&w, 2000 * US, 33000);
    g_assert_cmpint(ABS(wake_latency_mean(&w, 30 * US) - 5000), <=, 50);
    g_assert_cmpint(ABS(wake_latency_mean(&w, 2000 * US) - 33000), <=, 300);
    g_assert_cmpint(wake_latency_limit(&w, 30 * US), <=, 30 * US - 4950);

    generation = w.generation;
    learn(&w, 30 * US, 5050);
    g_assert_cmpuint(w.generation, ==, generation);
    learn(&w, 30 * US, 12000);
    g_assert_cmpuint(w.generation, !=, generation);
    g_assert_cmpint(ABS(wake_latency_mean(&w, 30 * US) - 12000), <=, 500);
}

/* A preemption is no latency, and a clock that goes back no gain */
static void test_wake_outliers(void)
{
    WakeLatency w = {};

    learn(&w, 30 * US, 5000);
    wake_latency_sample(&w, 1, 30 * US, 50000000);
    g_assert_cmpint(wake_latency_mean(&w, 30 * US), <=, 6000);
    wake_latency_sample(&w, 1, 30 * US, -100000);
    g_assert_cmpint(wake_latency_mean(&w, 30 * US), >=, 3500);
    learn(&w, 30 * US, 5000);
    g_assert_cmpint(ABS(wake_latency_mean(&w, 30 * US) - 5000), <=, 100);
}

/* --- plans --- */

typedef struct Case {
    int64_t gap[SAMPLES];
    GapHistogram histogram;
    WakeLatency wake;
    PollCosts costs;
} Case;

#define WAKE_NS 5000

/* What @plan costs with a gap of @gap, if waking takes just WAKE_NS */
static double gap_cost(const PollCosts *c, const PollPlan *plan, int64_t gap)
{
    double missed = c->block_cpu_ns + (double)c->latency_weight * WAKE_NS;

    if (gap <= plan->poll_first) {
        return gap;
    }
    if (plan->wake == INT64_MAX || gap <= plan->wake - WAKE_NS) {
        return plan->poll_first + missed;
    }
    if (gap <= plan->wake) {
        return plan->poll_first + c->block_cpu_ns +
               (double)c->latency_weight * (plan->wake - gap);
    }
    if (gap <= plan->poll_last) {
        return plan->poll_first + c->block_cpu_ns + gap - plan->wake;
    }
    return plan->poll_first + c->block_cpu_ns +
           (plan->poll_last - plan->wake) + missed;
}

static double plan_cost(const Case *c, const PollPlan *plan)
{
    double cost = 0;

    for (int i = 0; i < SAMPLES; i++) {
        cost += gap_cost(&c->costs, plan, c->gap[i]);
    }
    return cost / SAMPLES;
}

static int compare_gaps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Plans are as fine as the histogram is: from a bucket's start to one's end */
#define TIMES 28

static double best_wakes(const Case *c, const int64_t *start,
                         const int64_t *end, int64_t first)
{
    double best = INFINITY;

    for (int b = 0; b < TIMES; b++) {
        for (int e = b; e < TIMES && end[e] < INT64_MAX; e++) {
            PollPlan plan = { first, start[b], end[e], 1 };

            if (start[b] >= first + WAKE_NS + 2000 &&
                first + end[e] - start[b] <= c->costs.max_poll_ns) {
                best = MIN(best, plan_cost(c, &plan));
            }
        }
    }
    return best;
}

static double best_polls(const Case *c, const int64_t *start,
                         const int64_t *end, int64_t first)
{
    PollPlan plan = { first, INT64_MAX, INT64_MAX, 1 };

    return MIN(plan_cost(c, &plan), best_wakes(c, start, end, first));
}

static double best_cost(const Case *c)
{
    int64_t gap[SAMPLES], start[TIMES], end[TIMES];
    double best;

    memcpy(gap, c->gap, sizeof(gap));
    qsort(gap, SAMPLES, sizeof(gap[0]), compare_gaps);
    for (int i = 0; i < TIMES; i++) {
        unsigned bucket = gap_bucket(gap[i * (SAMPLES - 1) / (TIMES - 1)]);

        start[i] = gap_bucket_start(bucket);
        end[i] = gap_bucket_start(bucket + 1);
    }
    best = best_polls(c, start, end, 0);
    for (int i = 0; i < TIMES && end[i] <= c->costs.max_poll_ns; i++) {
        best = MIN(best, best_polls(c, start, end, end[i]));
    }
    return best;
}

static int64_t draw(GRand *rand, int shape)
{
    double even = g_rand_double(rand);
    bool second = g_rand_int_range(rand, 0, 10) < 2;

    switch (shape) {
    case 0:
        return 3 * US + even * 500;
    case 1:
        return 20 * US + even * US;
    case 2:
        return 100 * US + even * 5 * US;
    case 3:
        return second ? 90 * US + even * 3 * US : 8 * US + even * 500;
    case 4:
        return 10 * US + even * 100 * US;
    case 5:
        return -log(1 - even) * 40 * US;
    case 6:
        return second ? 5 * US + even * 300 : 40 * US + even * US;
    default:
        return 5000 * US;
    }
}

#define SHAPES 8

static void make_case(Case *c, int shape, int64_t latency_weight,
                      int64_t max_ns)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(shape);

    *c = (Case) {
        .costs = {
            .max_poll_ns = max_ns, .latency_weight = latency_weight,
            .block_cpu_ns = 2500, .wake = &c->wake,
        },
    };
    learn(&c->wake, 30 * US, WAKE_NS);
    gap_histogram_reset(&c->histogram);
    for (int i = 0; i < SAMPLES; i++) {
        c->gap[i] = draw(rand, shape);
    }
    /* All of them to weigh the same: let it see them many times, mixed */
    for (int i = 0; i < 100 * SAMPLES; i++) {
        gap_histogram_add(&c->histogram,
                          c->gap[g_rand_int_range(rand, 0, SAMPLES)]);
    }
}

static void check_plan(const Case *c, const PollPlan *plan)
{
    int64_t max_ns = c->costs.max_poll_ns;

    g_assert_cmpint(plan->poll_first, >=, 0);
    g_assert_cmpint(plan->poll_first, <=, max_ns);
    g_assert_cmpint(plan->typical, >, 0);
    if (plan->wake == INT64_MAX) {
        return;
    }
    g_assert_cmpint(plan->wake, >, plan->poll_first);
    g_assert_cmpint(plan->poll_last, >=, plan->wake);
    g_assert_cmpint(plan->poll_first + plan->poll_last - plan->wake, <=,
                    max_ns);
}

static void test_best_plan(void)
{
    static const int64_t latency_weights[] = { 0, 1, 5, 20, 1000 };
    static const int64_t max_ns[] = { 0, 1000, 8000, 32768, 200000 };
    double excess = 0;
    int cases = 0;
    Case c;

    for (int i = 0; i < (int)G_N_ELEMENTS(max_ns) * SHAPES; i++) {
        for (int w = 0; w < (int)G_N_ELEMENTS(latency_weights); w++) {
            PollPlan plan;
            double ratio;

            make_case(&c, i % SHAPES, latency_weights[w], max_ns[i / SHAPES]);
            plan = poll_plan_make(&c.histogram, &c.costs);
            check_plan(&c, &plan);
            ratio = plan_cost(&c, &plan) / best_cost(&c);
            if (ratio > 1.05) {
                g_test_message("shape %d, weight %" G_GINT64_FORMAT ", max %"
                               G_GINT64_FORMAT ": %.2f", i % SHAPES,
                               latency_weights[w], max_ns[i / SHAPES], ratio);
            }
            g_assert_cmpfloat(ratio, <=, 5);
            excess += MAX(ratio - 1, 0);
            cases++;
        }
    }
    g_assert_cmpfloat(excess / cases, <=, 0.05);
}

static void test_empty(void)
{
    WakeLatency wake = {};
    PollCosts costs = {
        .max_poll_ns = 32768, .latency_weight = 5, .block_cpu_ns = 2500,
        .wake = &wake,
    };
    GapHistogram g;
    PollPlan plan;

    gap_histogram_reset(&g);
    plan = poll_plan_make(&g, &costs);
    g_assert_cmpint(plan.poll_first, ==, 0);
    g_assert_cmpint(plan.wake, ==, INT64_MAX);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/poll-plan/buckets", test_buckets);
    g_test_add_func("/poll-plan/memory", test_memory);
    g_test_add_func("/poll-plan/surprise", test_surprise);
    g_test_add_func("/poll-plan/forget", test_forget);
    g_test_add_func("/poll-plan/wake-latency", test_wake_latency);
    g_test_add_func("/poll-plan/wake-outliers", test_wake_outliers);
    g_test_add_func("/poll-plan/best-plan", test_best_plan);
    g_test_add_func("/poll-plan/empty", test_empty);
    return g_test_run();
}
