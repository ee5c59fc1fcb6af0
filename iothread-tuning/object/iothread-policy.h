/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The properties of an IOThread's polling policy
 *
 * All functions run under the BQL.
 */
#ifndef IOTHREAD_TUNING_IOTHREAD_POLICY_H
#define IOTHREAD_TUNING_IOTHREAD_POLICY_H

#include "qapi/qapi-types-misc.h"
#include "system/iothread.h"

/**
 * iothread_policy_init: give @iothread the defaults
 */
void iothread_policy_init(IOThread *iothread);

/**
 * iothread_policy_class_init: add the properties poll-policy, poll-weight,
 * poll-latency-weight and poll-cpu-limit
 */
void iothread_policy_class_init(ObjectClass *klass);

/**
 * iothread_policy_apply: let the event loop know the properties
 *
 * Returns: false with an error where polling is not implemented
 */
bool iothread_policy_apply(IOThread *iothread, Error **errp);

/**
 * iothread_policy_info: fill in the members of @info that tell the policy
 */
void iothread_policy_info(const IOThread *iothread, IOThreadInfo *info);

#endif /* IOTHREAD_TUNING_IOTHREAD_POLICY_H */
