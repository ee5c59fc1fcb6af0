/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qemu/rcu_queue.h"
#include "util/aio-posix.h"
#include "iothread-tuning/aio-fds.h"

/* An eventfd that was not stale so many times is taken to be never */
#define EVENTFD_CLEAN_MAX 8

/* Handlers without io_poll in one call; the monitor looks at more of them */
#define UNPOLLED_MAX 16

static bool may_be_stale(const AioHandler *node)
{
    return node->uncleared && node->is_event_notifier &&
           node->clean < EVENTFD_CLEAN_MAX &&
           !QLIST_IS_INSERTED(node, node_deleted);
}

static bool clear_eventfd(AioContext *ctx, AioHandler *node)
{
    /* The source may yet set it for what was found: it goes on being suspect */
    node->uncleared = false;
    node->clean++;
    if (!event_notifier_test_and_clear(node->opaque)) {
        return false;
    }
    node->clean = 0;
    aio_stats_fd_cleared(&ctx->stats);
    return true;
}

bool aio_fds_clear_stale(AioContext *ctx, AioHandlerList *ready_list)
{
    bool progress = false;
    AioHandler *node;

    QLIST_FOREACH(node, &ctx->poll_aio_handlers, node_poll) {
        if (may_be_stale(node) && clear_eventfd(ctx, node) &&
            /* What it was set for may have come after the latest poll */
            node->io_poll(node->opaque)) {
            aio_add_ready_handler(ready_list, node, 0);
            node->poll_ready = true;
            progress = true;
        }
    }
    return progress;
}

bool aio_fds_check_unpolled(AioContext *ctx, AioHandlerList *ready_list,
                            int64_t now)
{
    GPollFD fds[UNPOLLED_MAX];
    AioHandler *node, *nodes[UNPOLLED_MAX];
    int n = 0, ready = 0;

    if (!aio_policy_fds_due(ctx->policy, now)) {
        return false;
    }
    QLIST_FOREACH_RCU(node, &ctx->aio_handlers, node) {
        if (!node->io_poll && node->pfd.events && n < UNPOLLED_MAX &&
            !QLIST_IS_INSERTED(node, node_deleted)) {
            nodes[n] = node;
            fds[n++] = node->pfd;
        }
    }
    if (n == UNPOLLED_MAX) {
        return ctx->fdmon_ops->wait(ctx, ready_list, 0) > 0;
    }
    if (qemu_poll_ns(fds, n, 0) <= 0) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (fds[i].revents) {
            aio_add_ready_handler(ready_list, nodes[i], fds[i].revents);
            ready++;
        }
    }
    return ready > 0;
}
