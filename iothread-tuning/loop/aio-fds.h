/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * File descriptors of an AioContext that polls
 *
 * Called by aio_poll(), in the thread that runs the event loop, with
 * ctx->list_lock incremented.
 */
#ifndef IOTHREAD_TUNING_AIO_FDS_H
#define IOTHREAD_TUNING_AIO_FDS_H

#include "hw/nearmetal/compat.h"
#include "block/aio.h"

/**
 * aio_fds_clear_stale: clear eventfds that polling has left set
 *
 * For use before the loop blocks, not at each event: while it goes on polling
 * nobody looks at them.  Many are never set, because their source knows that it
 * is polled; reading those is soon left off.
 *
 * Returns: true if an event came in between, which is on @ready_list then
 */
bool aio_fds_clear_stale(AioContext *ctx, AioHandlerList *ready_list);

/* How often polling looks at fds that cannot be polled: a call takes 1 us */
#define AIO_FDS_NS 16000

/*
 * How often also at those of handlers that could be polled, but are not yet
 * because they have had no event: there may be many that never have one
 */
#define AIO_FDS_ALL_NS 64000

/**
 * aio_fds_check_unpolled: look at the fds of handlers that are not polled
 * @now: the time; those without io_poll are looked at every AIO_FDS_NS, all
 *       others every AIO_FDS_ALL_NS
 *
 * Polling finds nothing on them, and a wait with all fds would find those that
 * polling has left set.  A handler is not polled before its first event: a
 * queue that was just attached would be heard by nobody while polling finds
 * something of another one each time, so that the loop never waits.
 *
 * Returns: true if there are events, which are on @ready_list then
 */
bool aio_fds_check_unpolled(AioContext *ctx, AioHandlerList *ready_list,
                            int64_t now);

/**
 * aio_fds_in_ring: is there an event among the completions of io_uring?
 *
 * Polling looks there without a system call.  What tells of a timeout or a
 * cancellation is none.  For AioContexts whose fd monitor is io_uring.
 */
bool aio_fds_in_ring(AioContext *ctx);

/**
 * aio_fds_completed: have requests of io_uring ended, and are not handled yet?
 */
static inline bool aio_fds_completed(AioContext *ctx)
{
#ifdef COMPAT_AIO_ADD_SQE
    return !QSIMPLEQ_EMPTY(&ctx->cqe_handler_ready_list);
#else
    return false;
#endif
}

#endif /* IOTHREAD_TUNING_AIO_FDS_H */
