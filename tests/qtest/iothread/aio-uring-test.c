/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What an event loop counts and learns of requests that its own io_uring has
 *
 * Timeouts of io_uring are the requests: they end by themselves after a time
 * that is known.  Skipped where the event loop submits no requests.
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include "block/aio.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "aio-metric.h"
#include "iothread-tuning/policy/poll-policy.h"

#ifdef COMPAT_AIO_ADD_SQE

#define REQUEST_NS      (30 * SCALE_US)
#define DEADLINE_NS     (20 * NANOSECONDS_PER_SECOND)

typedef struct Request {
    CqeHandler cqe_handler;     /* must be first */
    struct __kernel_timespec ts;
    bool done;
} Request;

static AioContext *ctx;

static void request_done(CqeHandler *cqe_handler)
{
    Request *r = (Request *)cqe_handler;

    g_assert_cmpint(cqe_handler->cqe.res, ==, -ETIME);
    r->done = true;
}

static void request_prep(struct io_uring_sqe *sqe, void *opaque)
{
    Request *r = opaque;

    io_uring_prep_timeout(sqe, &r->ts, 0, 0);
}

static void request_begin(Request *r, int64_t ns)
{
    *r = (Request) {
        .cqe_handler.cb = request_done,
        .ts.tv_nsec = ns,
    };
    aio_add_sqe(request_prep, r, &r->cqe_handler);
}

static void request_wait(Request *r)
{
    while (!r->done) {
        aio_poll(ctx, true);
    }
}

static void request_run(int64_t ns)
{
    Request r;

    request_begin(&r, ns);
    request_wait(&r);
}

static void settle(void)
{
    while (aio_poll(ctx, false)) {
        /* until nothing is left */
    }
}

static void set_policy(PollPolicyKind kind, int64_t max_ns)
{
    PollParams params = {
        .kind = kind, .max_ns = max_ns, .latency_weight = 1000,
    };

    aio_context_set_poll_policy(ctx, &params, &error_abort);
    settle();
}

/* Three requests, submitted by one call */
static void test_counts(void)
{
    uint64_t requests = aio_metric(ctx, "requests");
    uint64_t submits = aio_metric(ctx, "submits");
    uint64_t events = aio_metric(ctx, "events");
    uint64_t blocks = aio_metric(ctx, "blocks");
    uint64_t spurious = aio_metric(ctx, "spurious-wakeups");
    Request r[3];

    set_policy(POLL_POLICY_CLASSIC, 0);
    for (int i = 0; i < ARRAY_SIZE(r); i++) {
        request_begin(&r[i], 5 * SCALE_MS);
    }
    for (int i = 0; i < ARRAY_SIZE(r); i++) {
        request_wait(&r[i]);
    }
    g_assert_cmpuint(aio_metric(ctx, "requests") - requests, ==, 3);
    g_assert_cmpuint(aio_metric(ctx, "submits") - submits, ==, 1);
    g_assert_cmpuint(aio_metric(ctx, "events") - events, ==, 3);
    g_assert_cmpuint(aio_metric(ctx, "blocks") - blocks, >=, 1);
    g_assert_cmpuint(aio_metric(ctx, "spurious-wakeups"), ==, spurious);
}

/* aio-max-batch: without waiting for the loop's next iteration */
static void test_batch(void)
{
    uint64_t submits;
    Request r[4];

    aio_context_set_aio_params(ctx, 2);
    settle();
    submits = aio_metric(ctx, "submits");
    for (int i = 0; i < ARRAY_SIZE(r); i++) {
        request_begin(&r[i], SCALE_MS);
        aio_submit_full_batch(0);
        g_assert_cmpuint(aio_metric(ctx, "submits") - submits, ==, (i + 1) / 2);
    }
    for (int i = 0; i < ARRAY_SIZE(r); i++) {
        request_wait(&r[i]);
    }
    aio_context_set_aio_params(ctx, 0);
}

/* Polling finds the request, with no other handler that is polled */
static void check_learns(PollPolicyKind kind)
{
    int64_t end = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + DEADLINE_NS;
    uint64_t hits;

    set_policy(kind, 100 * SCALE_MS);
    hits = aio_metric(ctx, "poll-hits");
    while (aio_metric(ctx, "poll-hits") - hits < 20) {
        g_assert_cmpint(qemu_clock_get_ns(QEMU_CLOCK_REALTIME), <, end);
        request_run(REQUEST_NS);
    }
    set_policy(POLL_POLICY_CLASSIC, 0);
}

static void test_weighted(void)
{
    check_learns(POLL_POLICY_WEIGHTED);
}

static void test_predictive(void)
{
    check_learns(POLL_POLICY_PREDICTIVE);
}

static void pipe_read(void *opaque)
{
    int *fd = opaque;
    char c;

    g_assert_cmpint(read(fd[0], &c, 1), ==, 1);
    fd[2]++;
}

/* Beside a handler without io_poll, which is heard meanwhile */
static void test_unpolled(void)
{
    int fd[3] = {};

    g_assert_cmpint(pipe(fd), ==, 0);
    aio_set_fd_handler(ctx, fd[0], pipe_read, NULL, NULL, NULL, fd);
    check_learns(POLL_POLICY_PREDICTIVE);
    g_assert_cmpint(fd[2], ==, 0);
    set_policy(POLL_POLICY_PREDICTIVE, 100 * SCALE_MS);
    g_assert_cmpint(write(fd[1], "x", 1), ==, 1);
    for (int i = 0; i < 2; i++) {
        request_run(REQUEST_NS);
    }
    g_assert_cmpint(fd[2], ==, 1);
    set_policy(POLL_POLICY_CLASSIC, 0);
    aio_set_fd_handler(ctx, fd[0], NULL, NULL, NULL, NULL, NULL);
    settle();
    close(fd[0]);
    close(fd[1]);
}

/* As stock: requests do not lengthen what handlers are polled for */
static void test_classic(void)
{
    set_policy(POLL_POLICY_CLASSIC, 100 * SCALE_MS);
    for (int i = 0; i < 100; i++) {
        request_run(REQUEST_NS);
    }
    g_assert_cmpuint(aio_metric(ctx, "poll-current"), ==, 0);
    set_policy(POLL_POLICY_CLASSIC, 0);
}

int main(int argc, char **argv)
{
    qemu_init_main_loop(&error_abort);
    ctx = qemu_get_aio_context();

    g_test_init(&argc, &argv, NULL);
    if (!aio_has_io_uring()) {
        puts("1..0 # SKIP this host does not let us use io_uring");
        return 0;
    }
    g_test_add_func("/aio-uring/counts", test_counts);
    g_test_add_func("/aio-uring/batch", test_batch);
    g_test_add_func("/aio-uring/learns/weighted", test_weighted);
    g_test_add_func("/aio-uring/learns/predictive", test_predictive);
    g_test_add_func("/aio-uring/learns/classic", test_classic);
    g_test_add_func("/aio-uring/no-io-poll", test_unpolled);
    return g_test_run();
}

#else

int main(int argc, char **argv)
{
    puts("1..0 # SKIP this QEMU's event loop submits no requests");
    return 0;
}

#endif
