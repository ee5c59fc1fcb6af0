/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The requests that a vhost-user server has under way, queue by queue
 *
 * A request uses the guest's memory, its ring and the call fd until it has
 * ended.  So whatever takes these away waits first: a queue that is stopped, a
 * message that changes the memory, the end of the connection.
 *
 * Of the AioContext's thread, all of it.
 */
#ifndef IOTHREAD_TUNING_VU_REQUESTS_H
#define IOTHREAD_TUNING_VU_REQUESTS_H

#include "qemu/coroutine.h"
#include "subprojects/libvhost-user/libvhost-user.h"

#define VU_ALL_QUEUES   (-1)

typedef struct VuRequests {
    unsigned *in_flight;    /* of each queue */
    int num_queues;
    int awaited;            /* by @waiter: a queue, or VU_ALL_QUEUES */
    Coroutine *waiter;
    bool held;              /* see vu_requests_hold() */
    vu_queue_handler_cb *handlers;  /* of the queues, taken away while @held */
} VuRequests;

void vu_requests_init(VuRequests *requests, int num_queues);
void vu_requests_free(VuRequests *requests);

/* A request of @queue begins; never while the end of them is waited for */
void vu_requests_begin(VuRequests *requests, int queue);

/* It has ended: its entry is in the used ring and the driver has been told */
void vu_requests_end(VuRequests *requests, int queue);

/**
 * vu_requests_wait: wait until no request is under way
 * @queue: of this queue, or VU_ALL_QUEUES
 *
 * The event loop goes on meanwhile.  The caller makes sure that none begins.
 */
void coroutine_fn vu_requests_wait(VuRequests *requests, int queue);

/* Does this message take something away that requests under way still use? */
bool vu_requests_message_needs_idle(const VhostUserMsg *msg);

/**
 * vu_requests_hold: let no queue begin a request, and wait for those under way
 *
 * For the duration of one message; vu_requests_release() ends it.
 */
void coroutine_fn vu_requests_hold(VuRequests *requests, VuDev *dev);

/**
 * vu_requests_release: undo vu_requests_hold(), if it was called
 *
 * Returns: true if the queues have to be looked at, for kicks that were ignored
 */
bool vu_requests_release(VuRequests *requests, VuDev *dev);

#endif /* IOTHREAD_TUNING_VU_REQUESTS_H */
