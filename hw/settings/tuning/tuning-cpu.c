/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/core/cpu.h"
#include "hw/qdev-core.h"
#include "hw/nearmetal/settings/vcpu/vcpu-affinity.h"
#include "iothread-tuning/loop/aio-policy.h"
#include "hw/nearmetal/common/host-cpus.h"
#include "qapi/error.h"
#include "system/iothread.h"
#include "system/kvm.h"
#include "tuning.h"

/* First line of a file of the kernel's, NULL if it can't be read */
static char *read_setting(const char *path)
{
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return NULL;
    }
    return g_strstrip(text);
}

void tuning_halt_polling(TuningList *list)
{
    Object *machine = qdev_get_machine();
    int64_t ns = object_property_get_int(machine, "kvm-halt-poll-ns",
                                         &error_abort);
    char *requested = ns < 0 ? NULL : g_strdup_printf("%" PRId64, ns);
    char *effective = NULL;
    const char *reason;

    if (!kvm_enabled()) {
        reason = "the accelerator is not kvm";
    } else if (requested) {
        effective = g_strdup(requested);
        reason = "KVM has taken it, and has no way to read it back";
    } else {
        effective = read_setting("/sys/module/kvm/parameters/halt_poll_ns");
        reason = effective ? "the host's halt_poll_ns"
                           : "the host's halt_poll_ns cannot be read";
    }
    tuning_add(list, TUNING_AREA_HALT_POLLING, machine, "kvm-halt-poll-ns",
               requested, effective)->reason = g_strdup(reason);
}

static void add_affinity(TuningList *list, TuningArea area, Object *obj,
                         const uint16List *requested, uint16List *effective)
{
    TuningItem *item = tuning_add(list, area, obj, "cpu-affinity",
        requested ? host_cpus_text(requested) : NULL,
        effective ? host_cpus_text(effective) : NULL);

    if (item->status == TUNING_STATUS_DIFFERS) {
        item->reason = g_strdup("changed from outside, or limited by a cpuset");
    }
    qapi_free_uint16List(effective);
}

static void add_number(TuningList *list, IOThread *iothread, const char *name,
                       bool known, int64_t effective)
{
    int64_t requested = object_property_get_int(OBJECT(iothread), name,
                                                &error_abort);

    tuning_add(list, TUNING_AREA_IOTHREAD, OBJECT(iothread), name,
               g_strdup_printf("%" PRId64, requested),
               known ? g_strdup_printf("%" PRId64, effective) : NULL);
}

static void add_poll_policy(TuningList *list, IOThread *iothread, bool known,
                            const PollParams *params)
{
    IOThreadPollPolicy effective = (IOThreadPollPolicy)params->kind;

    tuning_add(list, TUNING_AREA_IOTHREAD, OBJECT(iothread), "poll-policy",
               g_strdup(IOThreadPollPolicy_str(iothread->poll_policy)),
               known ? g_strdup(IOThreadPollPolicy_str(effective)) : NULL);
    add_number(list, iothread, "poll-weight", known, params->weight);
    add_number(list, iothread, "poll-latency-weight", known,
               params->latency_weight);
    add_number(list, iothread, "poll-cpu-limit", known, params->cpu_limit);
}

/* What the event loop has been told, which is not the properties' fields */
static void add_loop(TuningList *list, IOThread *iothread)
{
    AioContext *ctx = iothread->ctx;
    bool known = ctx && ctx->policy;
    PollParams params = known ? *aio_policy_told(ctx->policy)
                              : (PollParams) { };

    add_number(list, iothread, "poll-max-ns", known, params.max_ns);
    add_number(list, iothread, "poll-grow", known, params.grow);
    add_number(list, iothread, "poll-shrink", known, params.shrink);
    add_poll_policy(list, iothread, known, &params);
    add_number(list, iothread, "aio-max-batch", ctx,
               ctx ? ctx->aio_max_batch : 0);
    add_number(list, iothread, "thread-pool-min", ctx,
               ctx ? ctx->thread_pool_min : 0);
    add_number(list, iothread, "thread-pool-max", ctx,
               ctx ? ctx->thread_pool_max : 0);
}

static int add_iothread(Object *obj, void *opaque)
{
    IOThread *iothread = (IOThread *)object_dynamic_cast(obj, TYPE_IOTHREAD);
    uint16List *cpus = NULL;

    if (iothread) {
        iothread_affinity_query(&iothread->affinity, &cpus);
        add_affinity(opaque, TUNING_AREA_IOTHREAD, obj,
                     iothread->affinity.requested, cpus);
        add_loop(opaque, iothread);
    }
    return 0;
}

void tuning_threads(TuningList *list)
{
    CPUState *cpu;

    object_child_foreach(object_get_objects_root(), add_iothread, list);
    CPU_FOREACH(cpu) {
        uint16List *cpus = NULL;

        vcpu_affinity_query(cpu, &cpus);
        add_affinity(list, TUNING_AREA_VCPU, OBJECT(cpu),
                     vcpu_affinity_requested(cpu), cpus);
    }
}
