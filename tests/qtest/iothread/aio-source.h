/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * An event source that can be polled, as a virtqueue and Linux AIO are
 *
 * All in the thread that runs the event loop.
 */
#ifndef NEARMETAL_QTEST_AIO_SOURCE_H
#define NEARMETAL_QTEST_AIO_SOURCE_H

#include "block/aio.h"

typedef struct Source {
    EventNotifier notifier;     /* must be first: the handlers' opaque */
    bool ready;                 /* what polling would see */
    bool late;                  /* gets ready once its eventfd is cleared */
    unsigned reads;             /* with the eventfd set */
    bool removed;               /* opaque may be freed from now on */
    unsigned looks_when_removed;
    struct Source *victim;      /* to be removed by this one's handler */
} Source;

/* Of all sources */
static AioContext *ctx;

static bool fd_is_readable(int fd)
{
    GPollFD pfd = { .fd = fd, .events = G_IO_IN };

    return g_poll(&pfd, 1, 0) == 1;
}

static bool source_poll(void *opaque)
{
    Source *s = opaque;

    s->looks_when_removed += s->removed;
    if (s->late && !fd_is_readable(event_notifier_get_fd(&s->notifier))) {
        s->late = false;
        s->ready = true;
    }
    return s->ready;
}

static void source_remove(Source *s)
{
    aio_set_event_notifier(ctx, &s->notifier, NULL, NULL, NULL);
    s->removed = true;
}

static void source_act(Source *s)
{
    s->ready = false;
    if (s->victim && !s->removed && !s->victim->removed) {
        source_remove(s->victim);
    }
}

static void source_read(EventNotifier *e)
{
    Source *s = (Source *)e;

    /* As virtio does: an eventfd that is not set is no event */
    if (event_notifier_test_and_clear(e)) {
        s->reads++;
        source_act(s);
    }
}

/* As virtio and Linux AIO do: the event is taken, the eventfd stays set */
static void source_poll_ready(EventNotifier *e)
{
    source_act((Source *)e);
}

static void source_fire(Source *s)
{
    s->ready = true;
    event_notifier_set(&s->notifier);
}

static void source_init(Source *s)
{
    memset(s, 0, sizeof(*s));
    event_notifier_init(&s->notifier, false);
    aio_set_event_notifier(ctx, &s->notifier, source_read, source_poll,
                           source_poll_ready);
}

#endif /* NEARMETAL_QTEST_AIO_SOURCE_H */
