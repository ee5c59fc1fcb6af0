/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The predictive policy
 */
#include "poll-loop.h"

#define MAX_NS 32768

static Loop predictive(void)
{
    Loop l;

    loop_init(&l, POLL_POLICY_PREDICTIVE, MAX_NS);
    return l;
}

static void train(Loop *l, int requests, int64_t ns)
{
    for (int i = 0; i < requests; i++) {
        loop_request(l, ns);
    }
}

typedef struct Cost {
    double late, polled, blocks;    /* per request */
} Cost;

static Cost measure(Loop *l, int requests, int64_t ns)
{
    Cost c = {};

    for (int i = 0; i < requests; i++) {
        loop_gap(l, 0, ns);
        c.late += l->late;
        c.polled += l->polled;
        c.blocks += l->blocks;
        loop_gap(l, 1, 2000);
        c.late += l->late;
        c.polled += l->polled;
        c.blocks += l->blocks;
    }
    c.late /= requests;
    c.polled /= requests;
    c.blocks /= requests;
    return c;
}

/* Whatever the disk, its completions are met in time, and cheaply */
static void test_fixed(void)
{
    for (int64_t ns = 5000; ns <= 230000; ns += ns / 4) {
        Loop l = predictive();
        Cost c;

        train(&l, 500, ns);
        c = measure(&l, 500, ns);
        g_assert_cmpfloat(c.late, <=, 500);
        g_assert_cmpfloat(c.polled, <=, 2000 + MIN(ns, MAX_NS));
        g_assert_cmpfloat(c.blocks, <=, 1);
        if (ns >= 40000) {
            /* Slept nearly all the time: a bucket is an eighth of an octave */
            g_assert_cmpfloat(c.polled, <=, 3000 + ns / 4.0);
        }
        loop_free(&l);
    }
}

/* Short gaps are the same after a kick, and after the other device's events */
static void test_short_gaps_are_polled(void)
{
    Loop l = predictive();
    Cost c;

    train(&l, 100, 4000);
    c = measure(&l, 100, 4000);
    g_assert_cmpfloat(c.late, ==, 0);
    g_assert_cmpfloat(c.blocks, ==, 0);
    loop_free(&l);
}

/* The slow ones are slept through, the fast ones polled for as they come */
static void test_bimodal(void)
{
    Loop l = predictive();
    unsigned fast = 0, fast_hits = 0;

    l.wake_ns = 8000;
    for (int i = 0; i < 15; i++) {
        bool slow = i * 7 % 10 < 2;
        bool hit = loop_gap(&l, 0, slow ? 90000 : 8000);

        if (i >= 500 && !slow) {
            fast++;
            fast_hits += hit;
        }
        if (i >= 500 && slow) {
            g_assert_cmpint(l.polled, <=, MAX_NS);
        }
        loop_gap(&l, 1, 2000);
    }
    g_assert_cmpuint(fast_hits, >=, fast * 95 / 100);
    loop_free(&l);
}

/* Waking late is measured, and made up for */
static void test_learns_wake_latency(void)
{
    static const int64_t wake_ns[] = { 1000, 4000, 12000, 25000 };
    Loop l = predictive();

    for (unsigned i = 0; i < G_N_ELEMENTS(wake_ns); i++) {
        Cost c;

        l.wake_ns = wake_ns[i];
        train(&l, 3000, 100000);
        c = measure(&l, 500, 100000);
        g_assert_cmpfloat(c.late, <=, 1000);
        g_assert_cmpfloat(c.polled, <=, 30000);
    }
    loop_free(&l);
}

/*
 * While waking took too long for sleeping to pay, the loop polls and is never
 * woken: it must find out all the same when the host has calmed down
 */
static void test_leaves_polling(void)
{
    Loop l = predictive();
    Cost slow, quick;

    l.wake_ns = 3000;
    train(&l, 3000, 28000);
    l.wake_ns = 40000;
    train(&l, 3000, 28000);
    slow = measure(&l, 500, 28000);
    g_assert_cmpfloat(slow.polled, >=, 25000);

    l.wake_ns = 3000;
    train(&l, 100000, 28000);
    quick = measure(&l, 500, 28000);
    g_assert_cmpfloat(quick.polled, <=, 15000);
    g_assert_cmpfloat(quick.late, <=, 1000);
    loop_free(&l);
}

/* Requests until twenty in a row were on time */
static unsigned requests_until_met(Loop *l, int64_t ns)
{
    unsigned n = 0, run = 0;

    for (; run < 20; n++) {
        loop_gap(l, 0, ns);
        run = l->late <= 1000 ? run + 1 : 0;
        loop_gap(l, 1, 2000);
        g_assert_cmpuint(n, <, 10000);
    }
    return n - run;
}

static void test_learns_soon(void)
{
    static const int64_t gaps[] = { 7000, 20000, 50000, 100000, 300000 };

    for (unsigned i = 0; i < G_N_ELEMENTS(gaps); i++) {
        Loop l = predictive();

        g_assert_cmpuint(requests_until_met(&l, gaps[i]), <=, 30);
        loop_free(&l);
    }
}

static void test_change_of_load(void)
{
    static const int64_t gaps[] = { 10000, 60000, 20000, 200000, 8000, 28000 };
    Loop l = predictive();

    for (int i = 0; i < 30; i++) {
        int64_t ns = gaps[i % G_N_ELEMENTS(gaps)];

        g_assert_cmpuint(requests_until_met(&l, ns), <=, 60);
        train(&l, i % 2 ? 200 : 3000, ns);
    }
    loop_free(&l);
}

/* A load of another kind is forgotten, or the plan would keep its polling */
static void test_forgets(void)
{
    Loop l = predictive();

    train(&l, 5000, 10000);
    train(&l, 300, 3000000);
    l.vain = 0;
    train(&l, 200, 3000000);
    g_assert_cmpint(l.vain / 200, <=, 1000);
    loop_free(&l);
}

/* Timers wake the loop, and there is nothing to poll for */
static void test_idle(void)
{
    Loop l = predictive();
    unsigned sleeps;

    train(&l, 500, 20000);
    l.vain = 0;
    for (int i = 0; i < 1000; i++) {
        loop_wait(&l, LOOP_NEVER, l.now + 100000);
    }
    g_assert_cmpint(l.vain, <=, MAX_NS);

    /* Nor does it wake the thread for nothing, again and again */
    sleeps = l.timed_sleeps;
    for (int i = 0; i < 100; i++) {
        loop_wait(&l, LOOP_NEVER, l.now + 1000000000);
    }
    g_assert_cmpuint(l.timed_sleeps, ==, sleeps);
    loop_free(&l);
}

/* Woken by something else while it sleeps: the gap goes on */
static void test_timer_within_gap(void)
{
    Loop l = predictive();

    train(&l, 1000, 100000);
    for (int i = 0; i < 500; i++) {
        int64_t due = l.now + 100000, timer = l.now + 30000;
        int waits = 0;

        while (!loop_wait(&l, due, timer > l.now ? timer : LOOP_NEVER)) {
            g_assert_cmpint(++waits, <, 10);
        }
        g_assert_cmpint(l.polled, <=, MAX_NS);
        g_assert_cmpint(l.now - due, <=, 6000);
        loop_event(&l, 0);
        loop_gap(&l, 1, 2000);
    }
    loop_free(&l);
}

static void test_many_handlers(void)
{
    Loop l = predictive();

    for (int i = 0; i < 40 * LOOP_HANDLERS; i++) {
        loop_gap(&l, i % LOOP_HANDLERS, 9000);
    }
    l.vain = 0;
    for (int i = 0; i < LOOP_HANDLERS; i++) {
        loop_gap(&l, i % LOOP_HANDLERS, 9000);
        g_assert_cmpint(l.late, <=, 1000);
        g_assert_cmpuint(l.handler[i].id, !=, 0);
    }
    loop_free(&l);
}

/* As a drain does: all handlers are removed, and come back as new ones */
static void drain(Loop *l)
{
    for (int i = 0; i < LOOP_HANDLERS; i++) {
        l->handler[i] = (PollHandler) { .source = l->handler[i].source };
    }
}

static void test_drain(void)
{
    Loop l = predictive();
    unsigned met = 0;

    l.handler[0].source = 7;
    l.handler[1].source = 1ull << 40;
    train(&l, 100, 9000);
    for (int i = 0; i < 15; i++) {
        drain(&l);
        loop_gap(&l, 1, 2000);      /* the first event is known again */
        loop_gap(&l, 0, 9000);
        met += l.late == 0;
        drain(&l);
        loop_gap(&l, 0, 9000);
        loop_gap(&l, 1, 2000);
        met += l.late == 0;
    }
    g_assert_cmpuint(met, >=, 28);  /* now and then one measures a sleep */
    loop_free(&l);
}

/* What comes in the place of a handler starts without its knowledge */
static void check_untaught(Loop *l, uint64_t source)
{
    train(l, 100, 9000);
    l->handler[0] = (PollHandler) { .source = source };
    loop_gap(l, 0, 9000);
    loop_gap(l, 1, 9000);
    g_assert_cmpint(l->polled, ==, 0);
    g_assert_cmpint(l->blocks, ==, 1);
}

static void test_successor(void)
{
    Loop l = predictive();

    for (int i = 0; i < 200; i++) {
        check_untaught(&l, i % 2 ? i + 1 : 0);
    }
    loop_free(&l);
}

/* Each knows what follows its own events, however many there are */
static void test_nobody_shares(void)
{
    enum { N = LOOP_HANDLERS, ROUNDS = 100 };
    Loop l = predictive();
    unsigned met = 0, cheap = 0;

    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            /* After the first half 5 us, after the second one 1 ms */
            loop_gap(&l, (i + 1) % N, i < N / 2 ? 5000 : 1000000);
            if (round >= ROUNDS / 2) {
                met += i < N / 2 && l.late == 0;
                cheap += i >= N / 2 && l.polled == 0;
            }
        }
    }
    g_assert_cmpuint(met, >, ROUNDS / 2 * N / 2 * 9 / 10);
    g_assert_cmpuint(cheap, >, ROUNDS / 2 * N / 2 * 9 / 10);
    loop_free(&l);
}

/* More than are remembered: it goes on, and the latest are known */
static void test_forgets_the_oldest(void)
{
    Loop l = predictive();

    for (int i = 0; i < 5000; i++) {
        l.handler[2].source = 1000 + i;
        l.handler[2].slot = 0;
        train(&l, 3, 9000);
        loop_gap(&l, 2, 9000);
    }
    train(&l, 1, 9000);
    loop_gap(&l, 0, 9000);
    g_assert_cmpint(l.late, ==, 0);
    loop_free(&l);
}

/* Some at once: only the first of them ended the gap */
static void test_events_together(void)
{
    Loop l = predictive();

    for (int i = 0; i < 1000; i++) {
        int64_t due = l.now + 15000;

        while (!loop_wait(&l, due, LOOP_NEVER)) {
            /* again */
        }
        if (i >= 100) {
            g_assert_cmpint(l.now - due, <=, 1000);
        }
        loop_event(&l, 2);
        loop_event(&l, 0);
        loop_event(&l, 1);
    }
    loop_free(&l);
}

/* A gap that ends with two events is not what follows the first of them */
static void test_events_together_teach_once(void)
{
    Loop l = predictive();

    for (int i = 0; i < 500; i++) {
        loop_gap(&l, 1, 5000);
        loop_event(&l, 0);          /* both at once */
        loop_gap(&l, 1, 5000);
        loop_gap(&l, 0, 50000);
        if (i >= 100) {
            g_assert_cmpint(l.polled, <=, 4500);
        }
    }
    loop_free(&l);
}

static void test_odd_gaps(void)
{
    Loop l = predictive();

    train(&l, 200, 0);
    g_assert_cmpuint(requests_until_met(&l, 0), <=, 4);
    for (int i = 0; i < 50; i++) {
        loop_gap(&l, 0, 1000000000000000);      /* 11 days */
    }
    l.vain = 0;
    loop_gap(&l, 0, 1000000000000000);
    g_assert_cmpint(l.vain, <=, MAX_NS);
    train(&l, 200, 0);
    g_assert_cmpuint(requests_until_met(&l, 10000), <=, 60);
    loop_free(&l);
}

static void test_clock_set_back(void)
{
    Loop l = predictive();

    for (int i = 0; i < 15; i++) {
        loop_gap(&l, 0, 20000);
        l.now -= 50;
        loop_gap(&l, 1, 30);
        l.now -= 50;
    }
    g_assert_cmpuint(requests_until_met(&l, 20000), <=, 4);
    loop_free(&l);
}

/* Latency that is worth nothing is not paid for, and the other way round */
static void test_latency_weight(void)
{
    PollParams params = {
        .kind = POLL_POLICY_PREDICTIVE, .max_ns = MAX_NS,
    };
    Loop l = predictive();
    Cost free, dear;

    loop_set(&l, &params);
    train(&l, 500, 20000);
    free = measure(&l, 500, 20000);
    g_assert_cmpfloat(free.polled, <=, 2500);   /* a block costs more */

    params.latency_weight = POLL_LATENCY_WEIGHT_LIMIT;
    loop_set(&l, &params);
    train(&l, 500, 20000);
    dear = measure(&l, 500, 20000);
    g_assert_cmpfloat(dear.late, <=, 10);
    loop_free(&l);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/poll-predictive/fixed", test_fixed);
    g_test_add_func("/poll-predictive/short-gaps-are-polled",
                    test_short_gaps_are_polled);
    g_test_add_func("/poll-predictive/bimodal", test_bimodal);
    g_test_add_func("/poll-predictive/leaves-polling", test_leaves_polling);
    g_test_add_func("/poll-predictive/learns-wake-latency",
                    test_learns_wake_latency);
    g_test_add_func("/poll-predictive/learns-soon", test_learns_soon);
    g_test_add_func("/poll-predictive/change-of-load", test_change_of_load);
    g_test_add_func("/poll-predictive/forgets", test_forgets);
    g_test_add_func("/poll-predictive/idle", test_idle);
    g_test_add_func("/poll-predictive/timer-within-gap",
                    test_timer_within_gap);
    g_test_add_func("/poll-predictive/many-handlers", test_many_handlers);
    g_test_add_func("/poll-predictive/drain", test_drain);
    g_test_add_func("/poll-predictive/successor", test_successor);
    g_test_add_func("/poll-predictive/nobody-shares", test_nobody_shares);
    g_test_add_func("/poll-predictive/forgets-the-oldest",
                    test_forgets_the_oldest);
    g_test_add_func("/poll-predictive/events-together", test_events_together);
    g_test_add_func("/poll-predictive/events-together-teach-once",
                    test_events_together_teach_once);
    g_test_add_func("/poll-predictive/odd-gaps", test_odd_gaps);
    g_test_add_func("/poll-predictive/clock-set-back", test_clock_set_back);
    g_test_add_func("/poll-predictive/latency-weight", test_latency_weight);
    return g_test_run();
}
