/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Statistics of an AioContext's event loop
 *
 * The event loop counts, query-stats reads.  This header has no dependency on
 * QEMU apart from the two atomic accessors, so that it is unit-tested natively.
 *
 * Threads: every counter has one writer, the thread that runs the event loop
 * (the home thread of the AioContext; for the main context, whoever holds the
 * BQL).  A counter is stored with one relaxed 64-bit store, so a reader on any
 * other thread sees a whole value, old or new, and takes no lock.  Counters are
 * stored one after the other: relations between them (hits + misses == polls)
 * may lag by the loop that is under way.
 */
#ifndef IOTHREAD_TUNING_AIO_STATS_H
#define IOTHREAD_TUNING_AIO_STATS_H

#include <stdbool.h>
#include <stdint.h>

#ifndef NATIVE_UNIT_TEST
#include "qemu/atomic.h"
typedef aligned_uint64_t AioCounter;
#define aio_counter_read(c)     qatomic_read_u64(c)
#define aio_counter_store(c, v) qatomic_set_u64(c, v)
#else
typedef uint64_t AioCounter;
#define aio_counter_read(c)     __atomic_load_n(c, __ATOMIC_RELAXED)
#define aio_counter_store(c, v) __atomic_store_n(c, v, __ATOMIC_RELAXED)
#endif

/* Without it, no counter is written: they are there, and stay 0 */
#ifdef CONFIG_IOTHREAD_STATS
#define AIO_STATS_BUILT 1
#else
#define AIO_STATS_BUILT 0
#endif

/*
 * Buckets as in KVM's log2 histograms: bucket 0 holds 0 ns, bucket n holds
 * [2^(n-1), 2^n) ns, the last one everything from 2^30 ns (1.07 s) on.
 */
#define AIO_STATS_WAIT_BUCKETS 32

typedef struct AioStats {
    AioCounter loops;           /* iterations of the event loop */
    AioCounter poll_hits;       /* polls that found an event */
    AioCounter poll_misses;     /* polls that ended without one */
    AioCounter poll_hit_time;   /* ns spent in hits */
    AioCounter poll_miss_time;  /* ns spent in misses */
    AioCounter poll_current;    /* ns the loop may poll for at present */
    AioCounter blocks;          /* waits in ppoll(), epoll or io_uring */
    AioCounter block_time;      /* ns spent in them */
    AioCounter spurious_wakeups; /* waits that ended with nothing to do */
    AioCounter requests;        /* requests handed to an AIO engine */
    AioCounter submits;         /* calls that handed them over */

    /* Of the polling policy: cumulative */
    AioCounter timed_sleeps;    /* sleeps that it put a limit on */
    AioCounter timed_wakeups;   /* ... and that ended by it */
    AioCounter plans;           /* times it worked out how to wait */
    AioCounter yields;          /* times polling gave way on a busy host */
    AioCounter cpu_limited;     /* polls cut short by poll-cpu-limit */
    AioCounter fds_cleared;     /* eventfds cleared that polling had left set */
    /* ... of this moment */
    AioCounter wake_latency;    /* ns from an event to the thread's running */
    AioCounter block_cpu;       /* ns of CPU time that a wait costs */

    /* Handlers dispatched that had work to do, by the ns waited for them */
    AioCounter wait_histogram[AIO_STATS_WAIT_BUCKETS];

    /* Scratch of the iteration under way, home thread only, never reported */
    int64_t polled_ns;          /* part of the wait that was spent polling */
    bool idle_wakeup;           /* woken, and no event dispatched so far */
    unsigned completions;       /* requests of io_uring that have ended */
} AioStats;

static inline void aio_counter_set(AioCounter *counter, uint64_t n)
{
    if (AIO_STATS_BUILT) {
        aio_counter_store(counter, n);
    }
}

/* Not a read-modify-write: the caller is the counter's only writer */
static inline void aio_counter_add(AioCounter *counter, uint64_t n)
{
    if (AIO_STATS_BUILT) {
        aio_counter_store(counter, aio_counter_read(counter) + n);
    }
}

/**
 * aio_stats_wait_bucket: the wait histogram's bucket for @ns, 0 or more
 *
 * The position of the highest bit of 2 * ns + 1 needs no branch for 0.
 */
static inline unsigned aio_stats_wait_bucket(int64_t ns)
{
    unsigned bucket = 63 - __builtin_clzll(2 * (uint64_t)ns + 1);

    return bucket < AIO_STATS_WAIT_BUCKETS ?
           bucket : AIO_STATS_WAIT_BUCKETS - 1;
}

/**
 * aio_stats_poll_limit: the loop is about to poll for up to @ns (0: not at all)
 *
 * Forgets what the loop's previous iteration polled.
 */
static inline void aio_stats_poll_limit(AioStats *s, int64_t ns)
{
    s->polled_ns = 0;
    aio_counter_set(&s->poll_current, ns);
}

/**
 * aio_stats_polled: a poll of @ns ended, with an event (@hit) or in vain
 */
static inline void aio_stats_polled(AioStats *s, bool hit, int64_t ns)
{
    s->polled_ns = ns;
    if (hit) {
        aio_counter_add(&s->poll_hits, 1);
        aio_counter_add(&s->poll_hit_time, ns);
    } else {
        aio_counter_add(&s->poll_misses, 1);
        aio_counter_add(&s->poll_miss_time, ns);
    }
}

/**
 * aio_stats_waited: the loop is done with waiting for events
 * @blocked: it slept in the fd monitor (with a timeout other than 0)
 * @wait_ns: time since the iteration began, polling included
 */
static inline void aio_stats_waited(AioStats *s, bool blocked, int64_t wait_ns)
{
    s->idle_wakeup = blocked;
    if (blocked) {
        int64_t ns = wait_ns - s->polled_ns;

        aio_counter_add(&s->blocks, 1);
        aio_counter_add(&s->block_time, ns > 0 ? ns : 0);
    }
}

/**
 * aio_stats_event: a handler that had something to do was dispatched
 * @wait_ns: how long the loop had waited for it
 */
static inline void aio_stats_event(AioStats *s, int64_t wait_ns)
{
    s->idle_wakeup = false;
    aio_counter_add(&s->wait_histogram[aio_stats_wait_bucket(wait_ns)], 1);
}

/**
 * aio_stats_completion: a request of io_uring ended, and its handler has run
 */
static inline void aio_stats_completion(AioStats *s)
{
    s->completions++;
}

/**
 * aio_stats_completed: all that had ended have been handled
 * @wait_ns: how long the loop had waited for them
 */
static inline void aio_stats_completed(AioStats *s, int64_t wait_ns)
{
    if (s->completions) {
        s->idle_wakeup = false;
        aio_counter_add(&s->wait_histogram[aio_stats_wait_bucket(wait_ns)],
                        s->completions);
        s->completions = 0;
    }
}

/**
 * aio_stats_loop: an iteration of the event loop ended
 * @progress: a bottom half or timer ran
 */
static inline void aio_stats_loop(AioStats *s, bool progress)
{
    aio_counter_add(&s->loops, 1);
    if (s->idle_wakeup) {
        s->idle_wakeup = false;     /* not the caller's, if this is nested */
        if (!progress) {
            aio_counter_add(&s->spurious_wakeups, 1);
        }
    }
}

/**
 * aio_stats_submit: @n requests were handed to an AIO engine in one call
 */
static inline void aio_stats_submit(AioStats *s, unsigned n)
{
    aio_counter_add(&s->requests, n);
    aio_counter_add(&s->submits, 1);
}

/**
 * aio_stats_fd_cleared: an eventfd was cleared that polling had left set
 */
static inline void aio_stats_fd_cleared(AioStats *s)
{
    aio_counter_add(&s->fds_cleared, 1);
}

/**
 * aio_stats_poll_current: how long the loop may poll for at present
 * @ns: where to store it, 0 to poll-max-ns
 *
 * May be called by any thread.  Returns: false without statistics
 */
static inline bool aio_stats_poll_current(const AioStats *s, int64_t *ns)
{
    *ns = aio_counter_read(&s->poll_current);
    return AIO_STATS_BUILT;
}

#endif /* IOTHREAD_TUNING_AIO_STATS_H */
