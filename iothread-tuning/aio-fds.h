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

/**
 * aio_fds_check_unpolled: look at the fds of handlers without io_poll
 * @now: the time; they are looked at every AIO_POLICY_FDS_NS
 *
 * Polling finds nothing on them, and a wait with all fds would find those that
 * polling has left set.
 *
 * Returns: true if there are events, which are on @ready_list then
 */
bool aio_fds_check_unpolled(AioContext *ctx, AioHandlerList *ready_list,
                            int64_t now);

#endif /* IOTHREAD_TUNING_AIO_FDS_H */
