/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "iothread-tuning/export/vu-kick-poll.h"

static VuKickPoll *vu_kick_poll_of(EventNotifier *notifier)
{
    return container_of(notifier, VuKickPoll, notifier);
}

/*
 * A ring that a control message has unmapped is mapped again by libvhost-user
 * when the driver kicks.  Polling does not provoke that: it would take a ring
 * whose memory is about to come back for a broken one.
 */
static bool vu_kick_poll_is_mapped(VuKickPoll *poll, VuVirtq *vq)
{
    return !poll->dev->broken && vq->vring.avail && vq->vring.used;
}

static bool vu_kick_poll_check(void *opaque)
{
    VuKickPoll *poll = vu_kick_poll_of(opaque);
    VuVirtq *vq = vu_get_queue(poll->dev, poll->queue);

    return vq->handler && vu_kick_poll_is_mapped(poll, vq) &&
           !vu_queue_empty(poll->dev, vq);
}

/*
 * With VIRTIO_RING_F_EVENT_IDX a driver kicks when it passes the avail_event
 * that was asked for last, even if notifications have been disabled since.  Put
 * it behind the driver, so that beginning to poll does not cost a kick.
 */
static void vu_kick_poll_pass_avail_event(VuDev *dev, VuVirtq *vq)
{
    uint16_t *avail_event = (uint16_t *)&vq->vring.used->ring[vq->vring.num];

    if (dev->features & (1ull << VIRTIO_RING_F_EVENT_IDX)) {
        qatomic_set(avail_event, cpu_to_le16(vq->last_avail_idx - 1));
    }
}

static void vu_kick_poll_begin(EventNotifier *notifier)
{
    VuKickPoll *poll = vu_kick_poll_of(notifier);
    VuVirtq *vq = vu_get_queue(poll->dev, poll->queue);

    if (!poll->quiet && vu_kick_poll_is_mapped(poll, vq)) {
        vu_kick_poll_pass_avail_event(poll->dev, vq);
        vu_queue_set_notification(poll->dev, vq, false);
        poll->quiet = true;
    }
}

/* The caller looks for requests once more that came without a kick */
static void vu_kick_poll_end(EventNotifier *notifier)
{
    VuKickPoll *poll = vu_kick_poll_of(notifier);
    VuVirtq *vq = vu_get_queue(poll->dev, poll->queue);

    if (poll->quiet && vu_kick_poll_is_mapped(poll, vq)) {
        vu_queue_set_notification(poll->dev, vq, true);
    }
    poll->quiet = false;
}

void vu_kick_poll_init(VuKickPoll *poll, VuDev *dev, int kick_fd, int queue,
                       EventNotifierHandler *on_kick,
                       EventNotifierHandler *on_poll_ready)
{
    *poll = (VuKickPoll) {
        .dev = dev,
        .queue = queue,
        .on_kick = on_kick,
        .on_poll_ready = on_poll_ready,
    };
    event_notifier_init_fd(&poll->notifier, kick_fd);
}

void vu_kick_poll_attach(VuKickPoll *poll, AioContext *ctx)
{
    qatomic_store_release(&poll->resync, true);
    aio_set_event_notifier(ctx, &poll->notifier, poll->on_kick,
                           vu_kick_poll_check, poll->on_poll_ready);
    aio_set_event_notifier_poll(ctx, &poll->notifier, vu_kick_poll_begin,
                                vu_kick_poll_end);
    event_notifier_set(&poll->notifier);
}

void vu_kick_poll_kicked(VuKickPoll *poll)
{
    VuVirtq *vq = vu_get_queue(poll->dev, poll->queue);

    if (qatomic_load_acquire(&poll->resync) &&
        vu_kick_poll_is_mapped(poll, vq)) {
        poll->resync = false;
        poll->quiet = false;
        vu_queue_set_notification(poll->dev, vq, true);
    }
}

void vu_kick_poll_retry_resync(VuKickPoll *poll)
{
    VuVirtq *vq = vu_get_queue(poll->dev, poll->queue);

    if (qatomic_load_acquire(&poll->resync) &&
        vu_kick_poll_is_mapped(poll, vq)) {
        event_notifier_set(&poll->notifier);
    }
}

void vu_kick_poll_stop(VuKickPoll *poll)
{
    if (poll->quiet) {
        vu_kick_poll_end(&poll->notifier);
        if (vu_kick_poll_check(&poll->notifier)) {
            event_notifier_set(&poll->notifier);
        }
    }
}

void vu_kick_poll_run(VuKickPoll *poll)
{
    VuVirtq *vq = vu_get_queue(poll->dev, poll->queue);

    /* A control message has ended the quiet, but the loop goes on polling */
    if (qemu_get_current_aio_context()->poll_started) {
        vu_kick_poll_begin(&poll->notifier);
    }
    if (vq->handler) {
        vq->handler(poll->dev, poll->queue);
    }
}
