/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qemu/rcu_queue.h"
#include "util/aio-posix.h"
#include "iothread-tuning/loop/aio-fds.h"

/* An eventfd that was not stale so many times is taken to be never */
#define EVENTFD_CLEAN_MAX 8

/* Handlers in one call; the monitor looks at more of them */
#define UNPOLLED_MAX 16

static bool aio_fd_may_be_stale(const AioHandler *node)
{
    return node->fd_state == AIO_FD_LEFT_SET && node->is_event_notifier &&
           node->clean < EVENTFD_CLEAN_MAX &&
           !QLIST_IS_INSERTED(node, node_deleted);
}

static bool aio_fd_clear(AioContext *ctx, AioHandler *node)
{
    node->fd_state = AIO_FD_CLEARED;
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
        if (aio_fd_may_be_stale(node) && aio_fd_clear(ctx, node) &&
            /* What it was set for may have come after the latest poll */
            node->io_poll(node->opaque)) {
            /*
             * io_uring may have told of the eventfd before it was cleared, and
             * the handler that runs then looks whether it is set
             */
            event_notifier_set(node->opaque);
            aio_add_ready_handler(ready_list, node, 0);
            node->poll_ready = true;
            progress = true;
        }
    }
    return progress;
}

typedef struct UnpolledFds {
    GPollFD fds[UNPOLLED_MAX];
    AioHandler *nodes[UNPOLLED_MAX];
    int n;
} UnpolledFds;

/* @all: also handlers that could be polled, but have had no event so far */
static bool aio_fds_is_unpolled(const AioHandler *node, bool all)
{
    return (!node->io_poll || (all && !QLIST_IS_INSERTED(node, node_poll))) &&
           node->pfd.events && !QLIST_IS_INSERTED(node, node_deleted);
}

static void aio_fds_find_unpolled(AioContext *ctx, UnpolledFds *u, bool all)
{
    AioHandler *node;

    u->n = 0;
    QLIST_FOREACH_RCU(node, &ctx->aio_handlers, node) {
        if (u->n < UNPOLLED_MAX && aio_fds_is_unpolled(node, all)) {
            u->nodes[u->n] = node;
            u->fds[u->n++] = node->pfd;
        }
    }
}

static bool aio_fds_poll_unpolled(UnpolledFds *u, AioHandlerList *ready_list)
{
    bool ready = false;

    if (!u->n || qemu_poll_ns(u->fds, u->n, 0) <= 0) {
        return false;
    }
    for (int i = 0; i < u->n; i++) {
        if (u->fds[i].revents) {
            aio_add_ready_handler(ready_list, u->nodes[i], u->fds[i].revents);
            ready = true;
        }
    }
    return ready;
}

/* If it is time, the next one is reckoned from now on */
static bool aio_fds_due(int64_t *checked, int64_t now, int64_t interval)
{
    if (now - *checked < interval) {
        return false;
    }
    *checked = now;
    return true;
}

bool aio_fds_check_unpolled(AioContext *ctx, AioHandlerList *ready_list,
                            int64_t now)
{
    AioPolicy *ap = ctx->policy;
    UnpolledFds unpolled;
    bool all;

    if (!aio_fds_due(&ap->fds_checked, now, AIO_FDS_NS)) {
        return false;
    }
    all = aio_fds_due(&ap->all_fds_checked, now, AIO_FDS_ALL_NS);
    if (!all && !aio_poll_disabled(ctx)) {
        return false;
    }
    aio_fds_find_unpolled(ctx, &unpolled, all);
    if (unpolled.n == UNPOLLED_MAX) {
        return ctx->fdmon_ops->wait(ctx, ready_list, 0) > 0;
    }
    return aio_fds_poll_unpolled(&unpolled, ready_list);
}

#ifdef COMPAT_AIO_ADD_SQE
bool aio_fds_in_ring(AioContext *ctx)
{
    struct io_uring_cqe *cqe;
    unsigned head;

    io_uring_for_each_cqe(&ctx->fdmon_io_uring, head, cqe) {
        if (io_uring_cqe_get_data(cqe)) {
            return true;
        }
    }
    return false;
}
#else
bool aio_fds_in_ring(AioContext *ctx)
{
    return false;
}
#endif
