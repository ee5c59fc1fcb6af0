/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Polling of a vhost-user queue, instead of waiting for the driver's kick
 *
 * While the event loop polls, the driver is asked not to kick ("quiet"), which
 * saves it a system call or VM exit for each request.  A quiet queue that
 * nobody polls hangs, so whatever takes a queue away from the event loop calls
 * vu_kick_poll_stop().  A control message may do so, or unmap the ring: it has
 * to be called before each is executed.
 *
 * Runs in the AioContext's thread, which owns all fields, except that
 * vu_kick_poll_attach() may be called by the main thread while the queue is not
 * attached.  The AioContext's thread may still be about to begin polling for
 * the old attachment then.  So attaching leaves @quiet alone and asks for
 * @resync, by a kick: that is handled after whatever the old attachment did.
 *
 * The first attachment does the same: the ring may come from a process that was
 * killed while it polled, and says "do not kick" then.
 */
#ifndef IOTHREAD_TUNING_VU_KICK_POLL_H
#define IOTHREAD_TUNING_VU_KICK_POLL_H

#include "block/aio.h"
#include "qemu/event_notifier.h"
#include "subprojects/libvhost-user/libvhost-user.h"

typedef struct VuKickPoll {
    EventNotifier notifier;     /* the queue's kick fd, which is not ours */
    VuDev *dev;
    int queue;                  /* index in @dev */
    EventNotifierHandler *on_kick;
    EventNotifierHandler *on_poll_ready;
    bool quiet;                 /* the driver was asked not to kick */
    bool resync;                /* what @quiet and the ring say may be stale */
} VuKickPoll;

/**
 * vu_kick_poll_init: describe the queue
 * @kick_fd: an eventfd, must stay open until detached
 * @on_kick: called with the notifier when the driver has kicked
 * @on_poll_ready: called with it when polling has found a request.  The kick fd
 *                 may be readable then or not, and is left alone.
 */
void vu_kick_poll_init(VuKickPoll *poll, VuDev *dev, int kick_fd, int queue,
                       EventNotifierHandler *on_kick,
                       EventNotifierHandler *on_poll_ready);

/**
 * vu_kick_poll_attach: wait for requests in @ctx
 *
 * aio_set_fd_handler() with the kick fd detaches it.  @on_kick is called once
 * without a kick of the driver's.
 */
void vu_kick_poll_attach(VuKickPoll *poll, AioContext *ctx);

/**
 * vu_kick_poll_stop: the driver shall kick again
 *
 * Requests that it has not kicked for are made known by a kick of our own.
 * Does nothing unless the queue is quiet.
 */
void vu_kick_poll_stop(VuKickPoll *poll);

/* To be called by on_kick first: a new attachment lets the driver kick again */
void vu_kick_poll_kicked(VuKickPoll *poll);

/* To be called after a control message: it may have mapped the ring only now */
void vu_kick_poll_retry_resync(VuKickPoll *poll);

/* To be called from on_poll_ready: processes the requests that are there */
void vu_kick_poll_run(VuKickPoll *poll);

#endif /* IOTHREAD_TUNING_VU_KICK_POLL_H */
