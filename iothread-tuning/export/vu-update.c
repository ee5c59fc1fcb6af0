/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "qemu/vhost-user-server.h"

/* The coroutine that serves the connection shall look at what has changed */
static void vu_update_wake_server(VuServer *server)
{
    if (server->in_qio_channel_yield) {
        qio_channel_wake_read(server->ioc);
    } else if (server->update.parked &&
               (!server->quiescing || server->update.stopping ||
                server->vu_dev.broken)) {
        qatomic_set(&server->update.parked, false);
        qemu_coroutine_enter(server->co_trip);
    }
}

bool coroutine_fn vhost_user_server_wait_readable(VuServer *server, bool begun)
{
    VuUpdate *update = &server->update;

    if (!update->stopping && !server->vu_dev.broken && server->quiescing) {
        /* Held: it is executed already, and this is the answer to a reply */
        if (!begun && !server->requests.held) {
            update->interrupted = true;
            return false;
        }
        /* With no handler that would be of the wrong AioContext afterwards */
        qatomic_set(&update->parked, true);
        aio_wait_kick();
        qemu_coroutine_yield();
    }
    if (update->stopping || server->vu_dev.broken) {
        return false;
    }
    server->in_qio_channel_yield = true;
    qio_channel_yield(server->ioc, G_IO_IN);
    server->in_qio_channel_yield = false;
    return true;
}

static void vu_update_tell_config(VuServer *server)
{
    if (qatomic_xchg(&server->update.config_changed, false) &&
        qatomic_load_acquire(&server->sioc) && !server->vu_dev.broken) {
        vu_config_change_msg(&server->vu_dev);
    }
}

static void vu_update_attach(VuServer *server)
{
    VuFdWatch *watch;

    QTAILQ_FOREACH(watch, &server->vu_fd_watches, next) {
        vu_kick_poll_attach(&watch->poll, server->ctx);
    }
    server->update.attached = true;
}

static void vu_update_detach(VuServer *server)
{
    VuFdWatch *watch;

    QTAILQ_FOREACH(watch, &server->vu_fd_watches, next) {
        aio_set_fd_handler(server->ctx, watch->fd, NULL, NULL, NULL, NULL,
                           NULL);
    }
    server->update.attached = false;
}

static void vu_update_serve(VuServer *server)
{
    assert(!server->in_qio_channel_yield);
    server->co_trip = qemu_coroutine_create(server->update.serve, server);
    qemu_coroutine_enter(server->co_trip);
}

static void vu_update_bh(void *opaque)
{
    VuServer *server = opaque;
    VuUpdate *update = &server->update;

    if (update->attached && server->quiescing) {
        vu_update_detach(server);
    } else if (!update->attached && !server->quiescing) {
        vu_update_attach(server);
    }
    vu_update_tell_config(server);
    if (server->quiescing || update->stopping || server->vu_dev.broken ||
        update->parked) {
        vu_update_wake_server(server);
    }
    /* Written last by whoever accepts a connection */
    if (qatomic_load_acquire(&server->sioc) && !server->co_trip &&
        !server->quiescing) {
        vu_update_serve(server);
    }
    qatomic_dec(&update->pending);
    aio_wait_kick();
}

void vhost_user_server_update(VuServer *server)
{
    if (server->ctx && !server->update.stopped) {
        qatomic_inc(&server->update.pending);
        aio_bh_schedule_oneshot(server->ctx, vu_update_bh, server);
    }
}

void vhost_user_server_config_changed(VuServer *server)
{
    qatomic_set(&server->update.config_changed, true);
    vhost_user_server_update(server);
}

void vhost_user_server_end_if_broken(VuServer *server)
{
    if (server->vu_dev.broken) {
        vhost_user_server_update(server);
    }
}

bool vhost_user_server_is_busy(VuServer *server)
{
    return qatomic_load_acquire(&server->update.pending) ||
           (server->co_trip && !qatomic_read(&server->update.parked));
}

void vhost_user_server_after_message(VuServer *server)
{
    bool released = vu_requests_release(&server->requests, &server->vu_dev);
    VuFdWatch *watch;

    QTAILQ_FOREACH(watch, &server->vu_fd_watches, next) {
        if (released) {
            event_notifier_set(&watch->poll.notifier);
        } else {
            vu_kick_poll_retry_resync(&watch->poll);
        }
    }
}
