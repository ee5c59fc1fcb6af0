/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-qom.h"
#include "qapi/visitor.h"
#include "iothread-tuning/object/iothread-policy.h"
#include "iothread-tuning/object/param-range.h"
#include "iothread-tuning/policy/poll-policy.h"

QEMU_BUILD_BUG_ON((int)POLL_POLICY__MAX != (int)IO_THREAD_POLL_POLICY__MAX);

static ParamRange iothread_policy_params[] = {
    { "poll-weight", offsetof(IOThread, poll_weight),
      0, POLL_WEIGHT_LIMIT },
    { "poll-latency-weight", offsetof(IOThread, poll_latency_weight),
      0, POLL_LATENCY_WEIGHT_LIMIT },
    { "poll-cpu-limit", offsetof(IOThread, poll_cpu_limit),
      0, POLL_CPU_LIMIT_LIMIT },
};

void iothread_policy_init(IOThread *iothread)
{
    iothread->poll_policy = IO_THREAD_POLL_POLICY_PREDICTIVE;
    iothread->poll_weight = POLL_WEIGHT_DEFAULT;
    iothread->poll_latency_weight = POLL_LATENCY_WEIGHT_DEFAULT;
}

bool iothread_policy_apply(IOThread *iothread, Error **errp)
{
    PollParams params = {
        .kind = iothread->poll_policy,
        .max_ns = iothread->poll_max_ns,
        .grow = iothread->poll_grow,
        .shrink = iothread->poll_shrink,
        .weight = iothread->poll_weight,
        .latency_weight = iothread->poll_latency_weight,
        .cpu_limit = iothread->poll_cpu_limit,
    };

    return !iothread->ctx ||
           aio_context_set_poll_policy(iothread->ctx, &params, errp);
}

static void iothread_policy_get_param(Object *obj, Visitor *v,
                                      const char *name, void *opaque,
                                      Error **errp)
{
    ParamRange *range = opaque;
    int64_t *field = (void *)IOTHREAD(obj) + range->offset;

    visit_type_int64(v, name, field, errp);
}

static void iothread_policy_set_param(Object *obj, Visitor *v,
                                      const char *name, void *opaque,
                                      Error **errp)
{
    IOThread *iothread = IOTHREAD(obj);
    ParamRange *range = opaque;
    int64_t *field = (void *)iothread + range->offset;

    if (!param_range_visit(obj, v, range, field, errp)) {
        return;
    }
    if (!iothread->poll_weight) {
        iothread->poll_weight = POLL_WEIGHT_DEFAULT;
    }
    iothread_policy_apply(iothread, errp);
}

static void iothread_policy_get_kind(Object *obj, Visitor *v,
                                     const char *name, void *opaque,
                                     Error **errp)
{
    IOThreadPollPolicy kind = IOTHREAD(obj)->poll_policy;

    visit_type_IOThreadPollPolicy(v, name, &kind, errp);
}

static void iothread_policy_set_kind(Object *obj, Visitor *v,
                                     const char *name, void *opaque,
                                     Error **errp)
{
    ERRP_GUARD();
    IOThreadPollPolicy kind;

    if (!visit_type_IOThreadPollPolicy(v, name, &kind, errp)) {
        error_prepend(errp, "Property 'iothread.poll-policy' takes classic, "
                      "weighted or predictive: ");
        return;
    }
    IOTHREAD(obj)->poll_policy = kind;
    iothread_policy_apply(IOTHREAD(obj), errp);
}

typedef struct IOThreadPolicyText {
    const char *name;
    const char *text;
} IOThreadPolicyText;

/* "-object iothread,help" shows them */
static const IOThreadPolicyText iothread_policy_texts[] = {
    { "poll-max-ns", "longest polling in ns, 0 to 1000000000, 0: never poll "
      "(default: 32768)" },
    { "poll-grow", "classic policy: factor by which the polling time grows, "
      "0 to 1000 (default: 0, which means 2)" },
    { "poll-shrink", "classic policy: divisor by which it shrinks, 0 to 1000 "
      "(default: 0, which means to nothing)" },
    { "poll-policy", "how the polling time is found: classic, weighted or "
      "predictive (default: predictive)" },
    { "poll-weight", "weighted policy: log2 of the number of gaps averaged "
      "over, 0 to 63, 0 sets 3 (default: 3)" },
    { "poll-latency-weight", "predictive policy: ns of CPU time that 1 ns of "
      "latency is worth, 0 to 1000 (default: 5)" },
    { "poll-cpu-limit", "percentage of a CPU that polling may spend in vain, "
      "0 to 100, 0: no limit (default: 0)" },
};

static void iothread_policy_describe(ObjectClass *klass)
{
    for (int i = 0; i < ARRAY_SIZE(iothread_policy_texts); i++) {
        object_class_property_set_description(klass,
                                              iothread_policy_texts[i].name,
                                              iothread_policy_texts[i].text);
    }
}

void iothread_policy_class_init(ObjectClass *klass)
{
    object_class_property_add(klass, "poll-policy", "IOThreadPollPolicy",
                              iothread_policy_get_kind,
                              iothread_policy_set_kind, NULL, NULL);
    for (int i = 0; i < ARRAY_SIZE(iothread_policy_params); i++) {
        object_class_property_add(klass, iothread_policy_params[i].name, "int",
                                  iothread_policy_get_param,
                                  iothread_policy_set_param,
                                  NULL, &iothread_policy_params[i]);
    }
    iothread_policy_describe(klass);
}

void iothread_policy_info(const IOThread *iothread, IOThreadInfo *info)
{
    info->has_poll_policy = true;
    info->poll_policy = iothread->poll_policy;
    info->has_poll_weight = true;
    info->poll_weight = iothread->poll_weight;
    info->has_poll_latency_weight = true;
    info->poll_latency_weight = iothread->poll_latency_weight;
    info->has_poll_cpu_limit = true;
    info->poll_cpu_limit = iothread->poll_cpu_limit;
}
