/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * An AioContext's polling policy
 *
 * aio_poll() tells it of a wait's steps, and the policy's answers are cut to
 * what timers leave.
 *
 * Threads: aio_policy_set() and aio_policy_told() are called by any thread
 * under the BQL, everything else by the thread that runs the event loop.  It
 * takes the lock only when there are new parameters, so that it never runs with
 * a mixture of two settings; who sets them never waits for the loop.
 */
#ifndef IOTHREAD_TUNING_AIO_POLICY_H
#define IOTHREAD_TUNING_AIO_POLICY_H

#include "qemu/atomic.h"
#include "qemu/thread.h"
#include "iothread-tuning/loop/aio-stats.h"
#include "iothread-tuning/policy/poll-policy.h"

/* The eventfd of a handler, which polling does not read */
typedef enum AioFdState {
    AIO_FD_READ,                /* with the latest event */
    AIO_FD_LEFT_SET,            /* the latest event was found by polling */
    AIO_FD_CLEARED,             /* and then cleared; it may yet be set for it */
} AioFdState;

typedef struct AioPolicy {
    PollPolicy *policy;
    AioStats *stats;            /* of the same AioContext */
    const PollPolicyOps *ops;   /* in force */
    bool enabled;               /* poll-max-ns is not 0 */
    PollWait wait;              /* the present one; now is its beginning */
    unsigned blocks;            /* until the cost of one is measured */
    int64_t block_cpu;          /* thread's CPU time before it, 0: not now */
    bool was_notified;          /* aio_notify() was called before the wait */
    PollHandler completions;    /* requests of io_uring, which have no fd */
    /* For aio_fds_check_unpolled(): when it looked last */
    int64_t fds_checked;
    int64_t all_fds_checked;
    int sched_fd;               /* the thread's schedstat; -1: not open */

    /* The only part that other threads touch */
    QemuMutex lock;             /* of told */
    PollParams told;            /* written under the BQL, too */
    bool changed;               /* atomic: told is still to be taken */
} AioPolicy;

/**
 * aio_policy_new: a policy that does not poll
 * @stats: where it leaves its counts
 */
AioPolicy *aio_policy_new(AioStats *stats);

void aio_policy_free(AioPolicy *ap);

/**
 * aio_policy_set: use valid @params from the event loop's next iteration on
 */
void aio_policy_set(AioPolicy *ap, const PollParams *params);

/**
 * aio_policy_told: what aio_policy_set() has set last
 */
static inline const PollParams *aio_policy_told(const AioPolicy *ap)
{
    return &ap->told;
}

/* For aio_policy_take() */
void aio_policy_take_changed(AioPolicy *ap);

/**
 * aio_policy_take: take over parameters that have been set
 *
 * Returns: true if there were new ones: all handlers' states must be zeroed
 */
static inline bool aio_policy_take(AioPolicy *ap)
{
    if (!qatomic_read(&ap->changed)) {
        return false;
    }
    aio_policy_take_changed(ap);
    return true;
}

/**
 * aio_policy_is_stock: does the loop poll and ask for kicks as stock's does?
 * @ap: NULL where polling is not implemented
 */
static inline bool aio_policy_is_stock(const AioPolicy *ap)
{
    return !ap || ap->ops->stock;
}

/**
 * aio_policy_begin: a wait begins at @now, see poll_policy_begin()
 * @wanted: the maximum for the handlers that are polled
 *
 * Must be called in every iteration of the loop while the policy is enabled.
 */
int64_t aio_policy_begin(AioPolicy *ap, int64_t now, int64_t wanted);

/**
 * aio_policy_polled: the loop polled for @ns, with an event (@hit) or without
 */
static inline void aio_policy_polled(AioPolicy *ap, bool hit, int64_t ns)
{
    ap->wait.polled = true;
    ap->wait.hit = hit;
    ap->wait.polled_ns = ns;
}

/**
 * aio_policy_sleep: the loop is about to block for @timeout ns, -1: no limit
 *
 * Returns: how long to block, which is no longer
 */
int64_t aio_policy_sleep(AioPolicy *ap, int64_t timeout);

/**
 * aio_policy_waited: the wait ended after @total_ns
 * @slept: it blocked
 * @woken: ... and file descriptors are ready, or requests have ended
 */
void aio_policy_waited(AioPolicy *ap, int64_t total_ns,
                       bool slept, bool woken);

/**
 * aio_policy_completed: requests of io_uring ended in the wait just told
 *
 * For fd monitors that submit requests themselves and run what is to be done
 * when they end, with no handler in between.  Stock's polling does not learn
 * from them.
 */
static inline void aio_policy_completed(AioPolicy *ap)
{
    if (ap->enabled && !ap->ops->stock) {
        poll_policy_event(ap->policy, &ap->completions);
    }
}

#endif /* IOTHREAD_TUNING_AIO_POLICY_H */
