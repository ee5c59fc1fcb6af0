/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Polling parameters on their way from one thread to another
 *
 * One writer at a time (under the BQL), one reader, the event loop.  The reader
 * takes no lock and writes nothing: it looks at the sequence number, and only
 * if that has changed copies the values.  A copy that a writer interfered with
 * is thrown away, and the old parameters stay in force until the next look; so
 * the loop never runs with a mixture of two settings.
 */
#ifndef IOTHREAD_TUNING_POLL_PARAMS_H
#define IOTHREAD_TUNING_POLL_PARAMS_H

#include "iothread-tuning/policy/poll-policy.h"

enum {
    POLL_PARAM_KIND,
    POLL_PARAM_MAX_NS,
    POLL_PARAM_GROW,
    POLL_PARAM_SHRINK,
    POLL_PARAM_WEIGHT,
    POLL_PARAM_LATENCY_WEIGHT,
    POLL_PARAM_CPU_LIMIT,
    POLL_PARAM__MAX
};

/* Everything is accessed atomically; 32 bits hold each value's range */
typedef struct PollParamsShared {
    uint32_t sequence;      /* odd while a writer is at it */
    uint32_t value[POLL_PARAM__MAX];
} PollParamsShared;

/**
 * poll_params_valid: are all of @params within their ranges?
 */
bool poll_params_valid(const PollParams *params);

/**
 * poll_params_publish: make valid @params known to the reader
 */
void poll_params_publish(PollParamsShared *shared, const PollParams *params);

/**
 * poll_params_changed: has there been a poll_params_publish() since @seen?
 */
static inline bool poll_params_changed(const PollParamsShared *shared,
                                       uint32_t seen)
{
    return __atomic_load_n(&shared->sequence, __ATOMIC_RELAXED) != seen;
}

/**
 * poll_params_take: copy the parameters
 * @seen: set to the sequence number that belongs to them
 *
 * Returns: false, with nothing stored, if a writer is at it
 */
bool poll_params_take(const PollParamsShared *shared, PollParams *params,
                      uint32_t *seen);

#endif /* IOTHREAD_TUNING_POLL_PARAMS_H */
