/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "hw/qdev-core.h"
#include "hw/nearmetal/vcpu/vcpu-affinity.h"
#include "iothread-tuning/aio-policy.h"
#include "iothread-tuning/host-cpus.h"
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
        reason = "the host's halt_poll_ns";
    }
    tuning_add(list, TUNING_AREA_HALT_POLLING, machine, "kvm-halt-poll-ns",
               requested, effective)->reason = g_strdup(reason);
}

static void add_affinity(TuningList *list, TuningArea area, Object *obj,
                         const uint16List *requested, uint16List *effective)
{
    tuning_add(list, area, obj, "cpu-affinity",
               requested ? host_cpus_text(requested) : NULL,
               effective ? host_cpus_text(effective) : NULL);
    qapi_free_uint16List(effective);
}

/* What the event loop has been told, which is not the property's field */
static void add_polling(TuningList *list, IOThread *iothread)
{
    AioPolicy *policy = iothread->ctx ? iothread->ctx->policy : NULL;
    char *effective = NULL;
    PollParams params;
    uint32_t seen;

    if (policy && poll_params_take(&policy->shared, &params, &seen)) {
        effective = g_strdup_printf("%" PRId64, (int64_t)params.max_ns);
    }
    tuning_add(list, TUNING_AREA_IOTHREAD, OBJECT(iothread), "poll-max-ns",
               g_strdup_printf("%" PRId64, iothread->poll_max_ns), effective);
}

static int add_iothread(Object *obj, void *opaque)
{
    IOThread *iothread = (IOThread *)object_dynamic_cast(obj, TYPE_IOTHREAD);
    uint16List *cpus = NULL;

    if (iothread) {
        iothread_affinity_query(&iothread->affinity, &cpus);
        add_affinity(opaque, TUNING_AREA_IOTHREAD, obj,
                     iothread->affinity.requested, cpus);
        add_polling(opaque, iothread);
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

/* How many different sockets, cores and threads the guest's CPUs are of */
static char *possible_topology(const CPUArchIdList *cpus)
{
    int64_t sockets = 0, cores = 0, threads = 0;

    for (int i = 0; i < cpus->len; i++) {
        const CpuInstanceProperties *props = &cpus->cpus[i].props;

        sockets = MAX(sockets, props->has_socket_id ? props->socket_id + 1 : 1);
        cores = MAX(cores, props->has_core_id ? props->core_id + 1 : 1);
        threads = MAX(threads, props->has_thread_id ? props->thread_id + 1 : 1);
    }
    return g_strdup_printf("sockets=%" PRId64 ",cores=%" PRId64 ",threads=%"
                           PRId64 ",maxcpus=%d", sockets, cores, threads,
                           cpus->len);
}

void tuning_topology(TuningList *list)
{
    MachineState *machine = MACHINE(qdev_get_machine());
    MachineClass *mc = MACHINE_GET_CLASS(machine);
    const CpuTopology *smp = &machine->smp;
    char *requested = g_strdup_printf("sockets=%u,cores=%u,threads=%u,"
                                      "maxcpus=%u", smp->sockets, smp->cores,
                                      smp->threads, smp->max_cpus);
    char *effective = NULL;

    if (mc->possible_cpu_arch_ids) {
        effective = possible_topology(mc->possible_cpu_arch_ids(machine));
    }
    tuning_add(list, TUNING_AREA_TOPOLOGY, OBJECT(machine), "smp", requested,
               effective);
}
