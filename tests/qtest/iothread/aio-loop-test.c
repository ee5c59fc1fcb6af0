/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What a real event loop counts: two handlers that can be polled, no machine
 *
 * With ppoll and epoll, which leave eventfds set that polling has seen to.
 * aio-uring-test has io_uring.
 */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "aio-metric.h"
#include "aio-source.h"
#include "iothread-tuning/policy/poll-policy.h"
#include "no-io-uring.h"

static Source a, b;

static void set_poll_max_ns(int64_t ns)
{
    aio_context_set_poll_params(ctx, ns, 2, 0, &error_abort);
}

static void settle(void)
{
    while (aio_poll(ctx, false)) {
        /* until nothing is left */
    }
}

/* Lets polling find an event of each source, so that its eventfd is stale */
static void make_stale(void)
{
    set_poll_max_ns(0);
    source_fire(&a);
    source_fire(&b);
    settle();                           /* from now on they are polled */
    set_poll_max_ns(NANOSECONDS_PER_SECOND);
    for (int i = 0; i < 3; i++) {       /* the polling time grows */
        source_fire(&a);
        source_fire(&b);
        aio_poll(ctx, true);
    }
    set_poll_max_ns(0);
    aio_notify_accept(ctx);             /* or the next aio_poll() can't sleep */
    g_assert_false(a.ready || b.ready);
}

static void setup(void)
{
    source_init(&a);
    source_init(&b);
    settle();
}

static void teardown(void)
{
    source_remove(&a);
    source_remove(&b);
    settle();
    event_notifier_cleanup(&a.notifier);
    event_notifier_cleanup(&b.notifier);
}

static void test_stale_is_no_event(void)
{
    uint64_t events, spurious, blocks;

    setup();
    make_stale();
    events = aio_metric(ctx, "events");
    spurious = aio_metric(ctx, "spurious-wakeups");
    blocks = aio_metric(ctx, "blocks");

    aio_poll(ctx, true);    /* returns at once: both eventfds are still set */
    g_assert_cmpuint(aio_metric(ctx, "events"), ==, events);
    g_assert_cmpuint(aio_metric(ctx, "blocks"), ==, blocks + 1);
    g_assert_cmpuint(aio_metric(ctx, "spurious-wakeups"), ==, spurious + 1);

    source_fire(&a);        /* cleared by now: this is an event */
    aio_poll(ctx, true);
    g_assert_cmpuint(aio_metric(ctx, "events"), ==, events + 1);
    g_assert_cmpuint(aio_metric(ctx, "spurious-wakeups"), ==, spurious + 1);
    teardown();
}

static void test_stale_with_new_event(void)
{
    uint64_t events, spurious;

    setup();
    make_stale();
    events = aio_metric(ctx, "events");
    spurious = aio_metric(ctx, "spurious-wakeups");
    source_fire(&a);
    aio_poll(ctx, true);
    g_assert_cmpuint(aio_metric(ctx, "events"), ==, events + 1);
    g_assert_cmpuint(aio_metric(ctx, "spurious-wakeups"), ==, spurious);
    teardown();
}

/* A handler removed by another one of the same wakeup must not be touched */
static void test_removed_while_stale(void)
{
    setup();
    make_stale();
    a.victim = &b;
    b.victim = &a;
    aio_poll(ctx, true);
    g_assert_true(a.removed != b.removed);
    g_assert_cmpuint(a.looks_when_removed + b.looks_when_removed, ==, 0);
    teardown();
}

static void *notify(void *opaque)
{
    g_usleep(10 * 1000);
    aio_notify(ctx);
    return NULL;
}

static void test_woken_for_nothing(void)
{
    uint64_t spurious, loops;
    GThread *thread;

    setup();
    spurious = aio_metric(ctx, "spurious-wakeups");
    loops = aio_metric(ctx, "loops");
    thread = g_thread_new("notify", notify, NULL);
    aio_poll(ctx, true);
    g_assert_cmpuint(aio_metric(ctx, "loops"), ==, loops + 1);
    g_assert_cmpuint(aio_metric(ctx, "spurious-wakeups"), ==, spurious + 1);
    g_thread_join(thread);
    teardown();
}

static void nothing(void *opaque)
{
}

static void test_bottom_half_is_no_event(void)
{
    uint64_t spurious, events;

    setup();
    spurious = aio_metric(ctx, "spurious-wakeups");
    events = aio_metric(ctx, "events");
    aio_bh_schedule_oneshot(ctx, nothing, NULL);
    g_assert_true(aio_poll(ctx, true));
    g_assert_cmpuint(aio_metric(ctx, "spurious-wakeups"), ==, spurious);
    g_assert_cmpuint(aio_metric(ctx, "events"), ==, events);
    teardown();
}

/* Returns: how long the loop says that it was blocked, of 10 ms at most */
static uint64_t block_once(void)
{
    uint64_t before = aio_metric(ctx, "block-time"), ns;
    int64_t begin = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
    GThread *thread = g_thread_new("notify", notify, NULL);

    aio_poll(ctx, true);
    ns = aio_metric(ctx, "block-time") - before;
    begin = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) - begin;
    g_assert_cmpuint(ns, <=, begin + begin / 100);
    g_thread_join(thread);
    return ns;
}

static void test_block_time(void)
{
    uint64_t ns = 0;

    setup();
    /* A busy machine may not let it sleep before it is woken */
    for (int i = 0; i < 100 && ns <= 5 * 1000 * 1000; i++) {
        ns = block_once();
        settle();
    }
    g_assert_cmpuint(ns, >, 5 * 1000 * 1000);
    teardown();
}

static void set_policy(PollPolicyKind kind)
{
    PollParams params = {
        .kind = kind, .max_ns = NANOSECONDS_PER_SECOND, .latency_weight = 1000,
    };

    aio_context_set_poll_policy(ctx, &params, &error_abort);
}

/* On a busy machine one may come before the loop sleeps */
static gpointer keep_notifying(gpointer stop)
{
    while (!qatomic_read((bool *)stop)) {
        g_usleep(10 * 1000);
        aio_notify(ctx);
    }
    return NULL;
}

/* Nothing but the other thread may end the block after these events */
static void check_cleared(PollPolicyKind kind)
{
    uint64_t cleared, hits, before;
    bool stop = false;
    GThread *thread;

    setup();
    set_policy(kind);
    cleared = aio_metric(ctx, "eventfds-cleared");
    hits = aio_metric(ctx, "poll-hits");
    for (int i = 0; i < 200; i++) {
        source_fire(&a);
        aio_poll(ctx, true);
    }
    g_assert_cmpuint(aio_metric(ctx, "poll-hits"), >, hits);
    before = aio_metric(ctx, "block-time");
    thread = g_thread_new("notify", keep_notifying, &stop);
    do {
        aio_poll(ctx, true);    /* polls, may sleep for a while, blocks */
    } while (aio_metric(ctx, "block-time") - before < 5 * 1000 * 1000);
    g_assert_cmpuint(aio_metric(ctx, "eventfds-cleared"), >, cleared);
    qatomic_set(&stop, true);
    g_thread_join(thread);
    settle();
    set_poll_max_ns(0);
    teardown();
}

/* Polling goes on until something has been found */
static void busy(Source *s)
{
    source_fire(s);
    aio_poll(ctx, true);
}

/*
 * The last look finds something that came after the eventfd was set.  A monitor
 * that has told of the eventfd already has its handler run, which must find it
 * set: else nobody would look again.
 */
static void test_late_event(void)
{
    unsigned reads;

    setup();
    set_policy(POLL_POLICY_WEIGHTED);
    for (int i = 0; i < 200; i++) {
        busy(&a);
    }
    a.late = true;
    reads = a.reads;
    for (int i = 0; a.late || a.ready; i++) {
        g_assert_cmpint(i, <, 10000);
        aio_poll(ctx, true);
    }
    g_assert_cmpuint(a.reads, ==, reads + 1);
    set_poll_max_ns(0);
    teardown();
}

static void test_weighted_clears(void)
{
    check_cleared(POLL_POLICY_WEIGHTED);
}

static void test_predictive_clears(void)
{
    check_cleared(POLL_POLICY_PREDICTIVE);
}

static int unpolled_fd[2];
static unsigned unpolled_events;

static void unpolled_read(void *opaque)
{
    char c;

    g_assert_cmpint(read(unpolled_fd[0], &c, 1), ==, 1);
    unpolled_events++;
}

static void *unpolled_write(void *opaque)
{
    g_usleep(10 * 1000);
    g_assert_cmpint(write(unpolled_fd[1], "x", 1), ==, 1);
    return NULL;
}

static void unpolled_add(void)
{
    unpolled_events = 0;
    g_assert_cmpint(pipe(unpolled_fd), ==, 0);
    aio_set_fd_handler(ctx, unpolled_fd[0], unpolled_read, NULL, NULL, NULL,
                       unpolled_fd);
}

static void unpolled_remove(void)
{
    aio_set_fd_handler(ctx, unpolled_fd[0], NULL, NULL, NULL, NULL, NULL);
    close(unpolled_fd[0]);
    close(unpolled_fd[1]);
}

/* Others are polled beside it, and it is heard while they are */
static void test_handler_without_io_poll(void)
{
    uint64_t hits;
    GThread *thread;

    setup();
    unpolled_add();
    make_stale();
    settle();
    set_policy(POLL_POLICY_WEIGHTED);
    for (int i = 0; i < 10; i++) {
        busy(&a);
    }
    hits = aio_metric(ctx, "poll-hits");
    for (int i = 0; i < 100; i++) {
        busy(&a);
    }
    g_assert_cmpuint(aio_metric(ctx, "poll-hits"), >=, hits + 50);

    thread = g_thread_new("unpolled", unpolled_write, NULL);
    while (!unpolled_events) {
        busy(&a);               /* polling hits every time */
    }
    g_thread_join(thread);
    unpolled_remove();
    set_poll_max_ns(0);
    teardown();
}

/* Unlike stock, where one such handler ends all polling */
static void test_classic_without_io_poll(void)
{
    uint64_t polls;

    setup();
    unpolled_add();
    make_stale();
    settle();
    set_poll_max_ns(NANOSECONDS_PER_SECOND);
    polls = aio_metric(ctx, "poll-hits") + aio_metric(ctx, "poll-misses");
    for (int i = 0; i < 100; i++) {
        busy(&a);
    }
    g_assert_cmpuint(aio_metric(ctx, "poll-hits") +
                     aio_metric(ctx, "poll-misses"), >, polls);
    unpolled_remove();
    set_poll_max_ns(0);
    teardown();
}

/*
 * A handler is polled from its first event on.  The first one of @b comes
 * while polling finds something of @a each time, so the loop never waits.
 */
static void check_attached(PollPolicyKind kind, bool beside_unpolled)
{
    int64_t end;

    source_init(&a);
    settle();
    if (beside_unpolled) {
        unpolled_add();
    }
    set_policy(kind);
    for (int i = 0; i < 100; i++) {
        busy(&a);
    }
    source_init(&b);
    for (int i = 0; i < 10; i++) {
        busy(&a);
    }
    source_fire(&b);
    end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    for (int turns = 0; b.ready; turns++) {
        busy(&a);
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        /* Each turn takes some us, and it is looked at every 64 us */
        g_assert_cmpint(turns, <, 100000);
    }
    if (beside_unpolled) {
        unpolled_remove();
    }
    settle();
    set_poll_max_ns(0);
    teardown();
}

static void test_attached(void)
{
    for (int i = 0; i < 10; i++) {
        check_attached(POLL_POLICY_WEIGHTED, true);
        check_attached(POLL_POLICY_PREDICTIVE, true);
        check_attached(POLL_POLICY_WEIGHTED, false);
        check_attached(POLL_POLICY_PREDICTIVE, false);
        check_attached(POLL_POLICY_CLASSIC, true);
    }
}

/* Kicks are not lost on one that cannot look for a while, see AioPollFn */
static void test_blind(void)
{
    setup();
    set_policy(POLL_POLICY_WEIGHTED);
    for (int i = 0; i < 100; i++) {
        busy(&a);
        busy(&b);
    }
    for (int i = 0; i < 100; i++) {
        busy(&a);
        event_notifier_set(&a.notifier);    /* and polling sees nothing */
        settle();
        aio_notify(ctx);
        busy(&b);
        source_fire(&a);                    /* it can look again */
        while (a.ready) {
            aio_poll(ctx, true);
        }
    }
    set_poll_max_ns(0);
    teardown();
}

int main(int argc, char **argv)
{
    deny_io_uring();
    qemu_init_main_loop(&error_abort);
    ctx = qemu_get_aio_context();

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/aio-loop/stale/no-event", test_stale_is_no_event);
    g_test_add_func("/aio-loop/stale/new-event", test_stale_with_new_event);
    g_test_add_func("/aio-loop/stale/removed", test_removed_while_stale);
    g_test_add_func("/aio-loop/woken-for-nothing", test_woken_for_nothing);
    g_test_add_func("/aio-loop/bottom-half", test_bottom_half_is_no_event);
    g_test_add_func("/aio-loop/block-time", test_block_time);
    g_test_add_func("/aio-loop/clears/weighted", test_weighted_clears);
    g_test_add_func("/aio-loop/clears/predictive", test_predictive_clears);
    g_test_add_func("/aio-loop/late-event", test_late_event);
    g_test_add_func("/aio-loop/no-io-poll", test_handler_without_io_poll);
    g_test_add_func("/aio-loop/no-io-poll/classic",
                    test_classic_without_io_poll);
    g_test_add_func("/aio-loop/attached", test_attached);
    g_test_add_func("/aio-loop/blind", test_blind);
    return g_test_run();
}
