/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#ifndef NATIVE_UNIT_TEST
#include "qemu/osdep.h"
#endif
#include "iothread-tuning/loop/poll-params.h"

static bool in_range(int64_t value, int64_t max)
{
    return value >= 0 && value <= max;
}

bool poll_params_valid(const PollParams *params)
{
    return in_range(params->kind, POLL_POLICY__MAX - 1) &&
           in_range(params->max_ns, POLL_MAX_NS_LIMIT) &&
           in_range(params->grow, POLL_FACTOR_LIMIT) &&
           in_range(params->shrink, POLL_FACTOR_LIMIT) &&
           in_range(params->weight, POLL_WEIGHT_LIMIT) &&
           in_range(params->latency_weight, POLL_LATENCY_WEIGHT_LIMIT) &&
           in_range(params->cpu_limit, POLL_CPU_LIMIT_LIMIT);
}

void poll_params_publish(PollParamsShared *shared, const PollParams *params)
{
    const uint32_t value[POLL_PARAM__MAX] = {
        [POLL_PARAM_KIND] = params->kind,
        [POLL_PARAM_MAX_NS] = params->max_ns,
        [POLL_PARAM_GROW] = params->grow,
        [POLL_PARAM_SHRINK] = params->shrink,
        [POLL_PARAM_WEIGHT] = params->weight,
        [POLL_PARAM_LATENCY_WEIGHT] = params->latency_weight,
        [POLL_PARAM_CPU_LIMIT] = params->cpu_limit,
    };
    uint32_t sequence = shared->sequence;

    __atomic_store_n(&shared->sequence, sequence + 1, __ATOMIC_RELAXED);
    for (int i = 0; i < POLL_PARAM__MAX; i++) {
        /* A reader that sees any of them sees the odd sequence as well */
        __atomic_store_n(&shared->value[i], value[i], __ATOMIC_RELEASE);
    }
    __atomic_store_n(&shared->sequence, sequence + 2, __ATOMIC_RELEASE);
}

bool poll_params_take(const PollParamsShared *shared, PollParams *params,
                      uint32_t *seen)
{
    uint32_t sequence = __atomic_load_n(&shared->sequence, __ATOMIC_ACQUIRE);
    uint32_t value[POLL_PARAM__MAX];

    for (int i = 0; i < POLL_PARAM__MAX; i++) {
        /* Acquire keeps the second look at the sequence behind these */
        value[i] = __atomic_load_n(&shared->value[i], __ATOMIC_ACQUIRE);
    }
    if (sequence % 2 || poll_params_changed(shared, sequence)) {
        return false;
    }
    *params = (PollParams) {
        .kind = value[POLL_PARAM_KIND],
        .max_ns = value[POLL_PARAM_MAX_NS],
        .grow = value[POLL_PARAM_GROW],
        .shrink = value[POLL_PARAM_SHRINK],
        .weight = value[POLL_PARAM_WEIGHT],
        .latency_weight = value[POLL_PARAM_LATENCY_WEIGHT],
        .cpu_limit = value[POLL_PARAM_CPU_LIMIT],
    };
    *seen = sequence;
    return true;
}
