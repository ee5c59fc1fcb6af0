/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-builtin-visit.h"
#include "qapi/util.h"
#include "qapi/visitor.h"
#include "qemu/bitmap.h"
#include "iothread-tuning/iothread-affinity.h"

#define HOST_CPUS_MAX (UINT16_MAX + 1)

typedef struct CpuSet {
    unsigned long *cpus;
    unsigned long nbits;
} CpuSet;

typedef struct AffinityProbe {
    CpuSet allowed;
    int err;                    /* a positive errno */
} AffinityProbe;

static ptrdiff_t affinity_offset;

static IOThreadAffinity *affinity_of(const Object *obj)
{
    return (void *)obj + affinity_offset;
}

static uint16List *cpu_set_to_list(const CpuSet *set)
{
    uint16List *list = NULL, **tail = &list;
    unsigned long cpu = find_first_bit(set->cpus, set->nbits);

    while (cpu < set->nbits) {
        QAPI_LIST_APPEND(tail, cpu);
        cpu = find_next_bit(set->cpus, set->nbits, cpu + 1);
    }
    return list;
}

/* As people write them: 0-3,6 */
static char *cpu_set_to_text(const CpuSet *set)
{
    GString *text = g_string_new(NULL);
    unsigned long first = find_first_bit(set->cpus, set->nbits);

    while (first < set->nbits) {
        unsigned long end = find_next_zero_bit(set->cpus, set->nbits, first);

        g_string_append_printf(text, "%s%lu", text->len ? "," : "", first);
        if (end - first > 1) {
            g_string_append_printf(text, "-%lu", end - 1);
        }
        first = find_next_bit(set->cpus, set->nbits, end);
    }
    return g_string_free(text, false);
}

/* The host functions return a positive errno, or -ENOSYS */
static int thread_set_cpus(QemuThread *thread, const uint16List *list)
{
    g_autofree unsigned long *cpus = bitmap_new(HOST_CPUS_MAX);

    for (; list; list = list->next) {
        set_bit(list->value, cpus);
    }
    return abs(qemu_thread_set_affinity(thread, cpus, HOST_CPUS_MAX));
}

static void *probe_run(void *opaque)
{
    AffinityProbe *probe = opaque;
    g_autofree unsigned long *all = bitmap_new(HOST_CPUS_MAX);
    QemuThread self;

    qemu_thread_get_self(&self);
    bitmap_set(all, 0, HOST_CPUS_MAX);
    probe->err = abs(qemu_thread_set_affinity(&self, all, HOST_CPUS_MAX));
    if (!probe->err) {
        probe->err = abs(qemu_thread_get_affinity(&self, &probe->allowed.cpus,
                                                  &probe->allowed.nbits));
    }
    return NULL;
}

/*
 * Which CPUs may a thread run on?  The kernel drops those that it does not have
 * or that a cpuset excludes without a word, and that must not happen to the
 * IOThread.  So ask for all of them with a thread that has nothing to lose.
 */
static AffinityProbe probe_affinity(void)
{
    AffinityProbe probe = { };
    QemuThread thread;

    qemu_thread_create(&thread, "affinity-probe", probe_run, &probe,
                       QEMU_THREAD_JOINABLE);
    qemu_thread_join(&thread);
    return probe;
}

static void error_set_affinity(Error **errp, int err)
{
    if (err == EPERM) {
        error_setg(errp, "Property 'iothread.cpu-affinity' cannot be set: this "
                   "process may not set CPU affinities, as with -sandbox "
                   "resourcecontrol=deny; create the iothread with a "
                   "'thread-context', or set the affinity of its thread from "
                   "outside");
    } else {
        error_setg(errp, "Property 'iothread.cpu-affinity' cannot be set: %s",
                   strerror(err));
    }
}

static bool check_cpus(const uint16List *list, const CpuSet *allowed,
                       Error **errp)
{
    g_autofree char *range = cpu_set_to_text(allowed);

    if (!list) {
        error_setg(errp, "Property 'iothread.cpu-affinity' value is an empty "
                   "list, and must have one or more of the CPUs %s", range);
        return false;
    }
    for (; list; list = list->next) {
        if (list->value >= allowed->nbits ||
            !test_bit(list->value, allowed->cpus)) {
            error_setg(errp, "Property 'iothread.cpu-affinity' value %u is not "
                       "one of the CPUs that the host allows, %s",
                       list->value, range);
            return false;
        }
    }
    return true;
}

static bool cpus_are_allowed(const uint16List *list, Error **errp)
{
    AffinityProbe probe = probe_affinity();
    bool ok = false;

    if (probe.err) {
        error_set_affinity(errp, probe.err);
    } else {
        ok = check_cpus(list, &probe.allowed, errp);
    }
    g_free(probe.allowed.cpus);
    return ok;
}

static void set_cpu_affinity(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    ERRP_GUARD();
    IOThreadAffinity *affinity = affinity_of(obj);
    g_autoptr(uint16List) list = NULL;
    int err;

    if (!visit_type_uint16List(v, name, &list, errp)) {
        error_prepend(errp, "Property 'iothread.cpu-affinity' takes a list of "
                      "CPU numbers: ");
        return;
    }
    if (!cpus_are_allowed(list, errp)) {
        return;
    }
    if (!affinity->thread) {
        qapi_free_uint16List(affinity->wanted);
        affinity->wanted = g_steal_pointer(&list);
        return;
    }
    err = thread_set_cpus(affinity->thread, list);
    if (err) {
        error_set_affinity(errp, err);
    }
}

static void get_cpu_affinity(Object *obj, Visitor *v, const char *name,
                             void *opaque, Error **errp)
{
    IOThreadAffinity *affinity = affinity_of(obj);
    g_autoptr(uint16List) list = NULL;

    if (!affinity->thread) {
        visit_type_uint16List(v, name, &affinity->wanted, errp);
    } else if (iothread_affinity_query(affinity, &list)) {
        visit_type_uint16List(v, name, &list, errp);
    } else {
        error_setg(errp, "Property 'iothread.cpu-affinity' cannot be read: "
                   "this host does not tell");
    }
}

static void check_context(const Object *obj, const char *name, Object *val,
                          Error **errp)
{
    if (affinity_of(obj)->thread) {
        error_setg(errp, "Property 'iothread.thread-context' can be set when "
                   "the iothread is created only");
    }
}

void iothread_affinity_class_init(ObjectClass *klass, ptrdiff_t offset)
{
    affinity_offset = offset;
    object_class_property_add(klass, "cpu-affinity", "uint16List",
                              get_cpu_affinity, set_cpu_affinity, NULL, NULL);
    object_class_property_set_description(klass, "cpu-affinity",
        "Host CPUs that the thread may run on");
    object_class_property_add_link(klass, "thread-context",
        TYPE_THREAD_CONTEXT, offset + offsetof(IOThreadAffinity, context),
        check_context, OBJ_PROP_LINK_STRONG);
    object_class_property_set_description(klass, "thread-context",
        "Thread context to create the thread in");
}

void iothread_affinity_create_thread(IOThreadAffinity *affinity,
                                     QemuThread *thread, const char *name,
                                     void *(*start_routine)(void *),
                                     void *arg)
{
    if (affinity->context) {
        thread_context_create_thread(affinity->context, thread, name,
                                     start_routine, arg, QEMU_THREAD_JOINABLE);
    } else {
        qemu_thread_create(thread, name, start_routine, arg,
                           QEMU_THREAD_JOINABLE);
    }
}

bool iothread_affinity_started(IOThreadAffinity *affinity, QemuThread *thread,
                               Error **errp)
{
    int err = 0;

    affinity->thread = thread;
    if (affinity->wanted) {
        err = thread_set_cpus(thread, affinity->wanted);
        qapi_free_uint16List(affinity->wanted);
        affinity->wanted = NULL;
    }
    if (err) {
        error_set_affinity(errp, err);
    }
    return !err;
}

bool iothread_affinity_query(IOThreadAffinity *affinity, uint16List **cpus)
{
    CpuSet set;

    if (!affinity->thread ||
        qemu_thread_get_affinity(affinity->thread, &set.cpus, &set.nbits)) {
        return false;
    }
    *cpus = cpu_set_to_list(&set);
    g_free(set.cpus);
    return true;
}

void iothread_affinity_cleanup(IOThreadAffinity *affinity)
{
    affinity->thread = NULL;
    qapi_free_uint16List(affinity->wanted);
    affinity->wanted = NULL;
}
