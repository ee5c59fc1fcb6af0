/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The polling policy of QEMU 2.9 to 11.0: each handler has a polling time that
 * grows when events come within poll-max-ns and shrinks when they do not, and
 * the loop polls for the longest of them.  The same sequence of events must
 * give the same times as there, wasteful or not.
 */
#include "qemu/osdep.h"
#include "iothread-tuning/policy/poll-policy-int.h"

#define CLASSIC_START_NS    4000
#define CLASSIC_GROW        2

static void poll_classic_reset(PollPolicy *p)
{
    /* All state is in the handlers */
}

static int64_t poll_classic_begin(PollPolicy *p, int64_t wanted)
{
    return wanted;
}

static int64_t poll_classic_grow(const PollParams *params, int64_t ns)
{
    ns = ns ? ns * (params->grow ?: CLASSIC_GROW) : CLASSIC_START_NS;
    return MIN(ns, params->max_ns);
}

static void poll_classic_event(PollPolicy *p, PollHandler *h)
{
    const PollParams *params = &p->params;
    int64_t waited = p->wait.total_ns;

    if (waited <= h->ns) {
        /* It was found by polling, or would have been */
    } else if (waited > params->max_ns) {
        h->ns = params->shrink ? h->ns / params->shrink : 0;
    } else if (h->ns < params->max_ns && waited < params->max_ns) {
        h->ns = poll_classic_grow(params, h->ns);
    }
}

const PollPolicyOps poll_classic_ops = {
    .name = "classic",
    .uses_handler_ns = true,
    .stock = true,
    .reset = poll_classic_reset,
    .begin = poll_classic_begin,
    .event = poll_classic_event,
};
