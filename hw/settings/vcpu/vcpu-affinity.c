/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/core/cpu.h"
#include "hw/qdev-core.h"
#include "hw/nearmetal/common/host-cpus.h"
#include "qapi/error.h"
#include "qapi/qapi-builtin-visit.h"
#include "qapi/qapi-visit-vcpu-affinity.h"
#include "qapi/util.h"
#include "qapi/visitor.h"
#include "qemu/bitmap.h"
#include "qemu/error-report.h"
#include "vcpu-affinity.h"
#include "vcpu-pinning.h"

#define REMEDY "set the affinity of the vCPU's thread from outside"

static const HostCpusProperty cpu_affinity = {
    .name = "cpu.cpu-affinity",
    .remedy = REMEDY,
};

static const HostCpusProperty vcpu_affinity = {
    .name = "machine.vcpu-affinity",
    .remedy = REMEDY,
};

/* Of the one machine there is; NULL if nobody asked for anything */
static VcpuAffinityList *affinity_wanted;

static VcpuAffinity *affinity_find(VcpuAffinityList *list, unsigned vcpu)
{
    for (; list; list = list->next) {
        if (list->value->vcpu == vcpu) {
            return list->value;
        }
    }
    return NULL;
}

/* Another vCPU of the same thread, that somebody asked for: TCG has that */
static CPUState *thread_sharer(CPUState *cpu, bool asked)
{
    CPUState *other;

    CPU_FOREACH(other) {
        if (other != cpu && other->thread == cpu->thread &&
            (!asked || affinity_find(affinity_wanted, other->cpu_index))) {
            return other;
        }
    }
    return NULL;
}

static bool set_affinity(const HostCpusProperty *property, CPUState *cpu,
                         const uint16List *list, Error **errp)
{
    if (thread_sharer(cpu, false)) {
        error_setg(errp, "Property '%s' of vCPU %d cannot be set: all vCPUs "
                   "share one thread; -accel tcg,thread=multi gives each its "
                   "own", property->name, cpu->cpu_index);
        return false;
    }
    return host_cpus_set(property, cpu->thread, list, errp);
}

static void affinity_remember(unsigned vcpu, uint16List *list)
{
    VcpuAffinity *affinity = affinity_find(affinity_wanted, vcpu);

    if (!affinity) {
        affinity = g_new0(VcpuAffinity, 1);
        affinity->vcpu = vcpu;
        QAPI_LIST_PREPEND(affinity_wanted, affinity);
    }
    qapi_free_uint16List(affinity->host_cpus);
    affinity->host_cpus = list;
}

static void set_cpu_affinity(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    g_autoptr(uint16List) list = NULL;

    if (!host_cpus_visit(&cpu_affinity, v, name, &list, errp)) {
        return;
    }
    /* Its thread may be gone */
    if (CPU(obj)->unplug) {
        error_setg(errp, "Property 'cpu.cpu-affinity' cannot be set: the vCPU "
                   "is being unplugged");
        return;
    }
    if (set_affinity(&cpu_affinity, CPU(obj), list, errp)) {
        affinity_remember(CPU(obj)->cpu_index, g_steal_pointer(&list));
    }
}

static void get_cpu_affinity(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    g_autoptr(uint16List) list = NULL;

    if (!vcpu_affinity_query(CPU(obj), &list)) {
        error_setg(errp, "Property 'cpu.cpu-affinity' cannot be read: the "
                   "thread does not run, or this host does not tell");
        return;
    }
    visit_type_uint16List(v, name, &list, errp);
}

static bool check_list(VcpuAffinityList *list, Error **errp)
{
    ERRP_GUARD();
    g_autofree unsigned long *seen = bitmap_new(UINT16_MAX + 1);
    g_autofree unsigned long *allowed =
        host_cpus_allowed(&vcpu_affinity, errp);

    if (!allowed) {
        return false;
    }
    for (; list; list = list->next) {
        if (test_and_set_bit(list->value->vcpu, seen)) {
            error_setg(errp, "Property 'machine.vcpu-affinity' has vCPU %u "
                       "twice", list->value->vcpu);
            return false;
        }
        if (!host_cpus_check(&vcpu_affinity, list->value->host_cpus, allowed,
                             errp)) {
            error_prepend(errp, "vCPU %u: ", list->value->vcpu);
            return false;
        }
    }
    return true;
}

static bool check_range(const MachineState *machine, VcpuAffinityList *list,
                        Error **errp)
{
    for (; list; list = list->next) {
        if (list->value->vcpu >= machine->smp.max_cpus) {
            error_setg(errp, "Property 'machine.vcpu-affinity' vcpu %u is out "
                       "of range: 0 to %u", list->value->vcpu,
                       machine->smp.max_cpus - 1);
            return false;
        }
    }
    return true;
}

static void set_vcpu_affinity(Object *obj, Visitor *v, const char *name,
                              void *opaque, Error **errp)
{
    ERRP_GUARD();
    VcpuAffinityList *list = NULL;

    if (phase_check(PHASE_MACHINE_INITIALIZED)) {
        error_setg(errp, "Property 'machine.vcpu-affinity' is for the start; "
                   "set cpu-affinity of the CPU object, which query-cpus-fast "
                   "names");
        return;
    }
    if (!visit_type_VcpuAffinityList(v, name, &list, errp)) {
        error_prepend(errp, "Property 'machine.vcpu-affinity' takes a list of "
                      "vcpu, a number from 0 to %u, and host-cpus, a list of "
                      "such: ", UINT16_MAX);
        return;
    }
    /* How many vCPUs there are is known later, but with -preconfig */
    if ((phase_check(PHASE_ACCEL_CREATED) &&
         !check_range(MACHINE(obj), list, errp)) || !check_list(list, errp)) {
        qapi_free_VcpuAffinityList(list);
        return;
    }
    qapi_free_VcpuAffinityList(affinity_wanted);
    affinity_wanted = list;
}

static void get_vcpu_affinity(Object *obj, Visitor *v, const char *name,
                              void *opaque, Error **errp)
{
    visit_type_VcpuAffinityList(v, name, &affinity_wanted, errp);
}

void vcpu_affinity_class_init(ObjectClass *oc)
{
    object_class_property_add(oc, "vcpu-affinity", "VcpuAffinityList",
                              get_vcpu_affinity, set_vcpu_affinity, NULL,
                              NULL);
    object_class_property_set_description(oc, "vcpu-affinity",
        "list of {vcpu, host-cpus}: numbers of host CPUs that the thread of a "
        "vCPU may run on (default: none, as the process)");
}

bool vcpu_affinity_start(MachineState *machine, Error **errp)
{
    vcpu_pinning_expect();
    return check_range(machine, affinity_wanted, errp);
}

/* Pinned to its thread, an earlier vCPU would drag this one along */
static bool check_thread(CPUState *cpu, Error **errp)
{
    CPUState *other = thread_sharer(cpu, true);

    if (other) {
        error_setg(errp, "Property '%s' of vCPU %d cannot be set: vCPU %d "
                   "shares its thread; -accel tcg,thread=multi gives each its "
                   "own", vcpu_affinity.name, other->cpu_index,
                   cpu->cpu_index);
    }
    return !other;
}

/* CPUs that were allowed at the start need not be when a vCPU is plugged */
static bool pin_started(CPUState *cpu, const uint16List *list, Error **errp)
{
    ERRP_GUARD();

    if (!set_affinity(&vcpu_affinity, cpu, list, errp)) {
        error_prepend(errp, "vCPU %d: ", cpu->cpu_index);
        return false;
    }
    return true;
}

void vcpu_affinity_started(CPUState *cpu)
{
    const VcpuAffinity *affinity = affinity_find(affinity_wanted,
                                                 cpu->cpu_index);
    Error *err = NULL;

    /* Not of the class, so that models of CPUs are described as ever */
    if (!object_property_find(OBJECT(cpu), "cpu-affinity")) {
        object_property_add(OBJECT(cpu), "cpu-affinity", "uint16List",
                            get_cpu_affinity, set_cpu_affinity, NULL, NULL);
        object_property_set_description(OBJECT(cpu), "cpu-affinity",
            "numbers of host CPUs that the thread may run on (default: as the "
            "process)");
    }
    if (check_thread(cpu, &err) &&
        (!affinity || pin_started(cpu, affinity->host_cpus, &err))) {
        return;
    }
    if (!phase_check(PHASE_MACHINE_READY)) {
        error_report_err(err);
        exit(EXIT_FAILURE);
    }
    warn_report_err(err);
}

bool vcpu_affinity_query(CPUState *cpu, uint16List **cpus)
{
    return cpu->created && !cpu->unplug && host_cpus_get(cpu->thread, cpus);
}

bool vcpu_affinity_info(CPUState *cpu, uint16List **cpus)
{
    bool telling = vcpu_affinity_requested(cpu) || !cpu->created ||
                   !host_cpus_floats(cpu->thread);

    return telling && vcpu_affinity_query(cpu, cpus);
}

const uint16List *vcpu_affinity_requested(CPUState *cpu)
{
    const VcpuAffinity *affinity = affinity_find(affinity_wanted,
                                                 cpu->cpu_index);

    return affinity ? affinity->host_cpus : NULL;
}
