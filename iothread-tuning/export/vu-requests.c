/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "iothread-tuning/export/vu-requests.h"

void vu_requests_init(VuRequests *requests, int num_queues)
{
    *requests = (VuRequests) {
        .in_flight = g_new0(unsigned, num_queues),
        .handlers = g_new0(vu_queue_handler_cb, num_queues),
        .num_queues = num_queues,
    };
}

void vu_requests_free(VuRequests *requests)
{
    g_clear_pointer(&requests->in_flight, g_free);
    g_clear_pointer(&requests->handlers, g_free);
}

static bool vu_requests_is_idle(const VuRequests *requests, int queue)
{
    if (queue != VU_ALL_QUEUES) {
        return !requests->in_flight[queue];
    }
    for (int i = 0; i < requests->num_queues; i++) {
        if (requests->in_flight[i]) {
            return false;
        }
    }
    return true;
}

static bool vu_requests_is_awaited(const VuRequests *requests, int queue)
{
    return requests->waiter && (requests->awaited == queue ||
                                requests->awaited == VU_ALL_QUEUES);
}

void vu_requests_begin(VuRequests *requests, int queue)
{
    assert(!vu_requests_is_awaited(requests, queue));
    requests->in_flight[queue]++;
}

void vu_requests_end(VuRequests *requests, int queue)
{
    assert(requests->in_flight[queue]);
    requests->in_flight[queue]--;
    if (vu_requests_is_awaited(requests, queue) &&
        vu_requests_is_idle(requests, requests->awaited)) {
        aio_co_wake(g_steal_pointer(&requests->waiter));
    }
}

void coroutine_fn vu_requests_wait(VuRequests *requests, int queue)
{
    assert(!requests->waiter);
    if (!vu_requests_is_idle(requests, queue)) {
        requests->awaited = queue;
        requests->waiter = qemu_coroutine_self();
        qemu_coroutine_yield();
    }
    assert(vu_requests_is_idle(requests, queue));
}

bool vu_requests_message_needs_idle(const VhostUserMsg *msg)
{
    switch (msg->request) {
    case VHOST_USER_SET_MEM_TABLE:
    case VHOST_USER_REM_MEM_REG:
    case VHOST_USER_SET_INFLIGHT_FD:
        return true;
    default:
        return false;
    }
}

void coroutine_fn vu_requests_hold(VuRequests *requests, VuDev *dev)
{
    if (requests->held) {
        /* A message within another one: the acknowledgement in postcopy */
        return;
    }
    requests->held = true;
    for (int i = 0; i < requests->num_queues; i++) {
        VuVirtq *vq = vu_get_queue(dev, i);

        /* Kicks are still read then, but nothing is done about them */
        requests->handlers[i] = vq->handler;
        vq->handler = NULL;
    }
    vu_requests_wait(requests, VU_ALL_QUEUES);
}

bool vu_requests_release(VuRequests *requests, VuDev *dev)
{
    if (!requests->held) {
        return false;
    }
    requests->held = false;
    for (int i = 0; i < requests->num_queues; i++) {
        vu_get_queue(dev, i)->handler = requests->handlers[i];
    }
    return true;
}
