/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-builtin-visit.h"
#include "qapi/visitor.h"
#include "hw/nearmetal/common/host-cpus.h"
#include "hw/nearmetal/common/thread-context-try.h"
#include "hw/nearmetal/common/thread-try.h"
#include "iothread-tuning/object/iothread-affinity.h"

static const HostCpusProperty iothread_cpus = {
    .name = "iothread.cpu-affinity",
    .remedy = "create the iothread with a 'thread-context', or set the "
              "affinity of its thread from outside",
};

static ptrdiff_t iothread_affinity_offset;

static IOThreadAffinity *iothread_affinity_of(const Object *obj)
{
    return (void *)obj + iothread_affinity_offset;
}

static void iothread_affinity_want(IOThreadAffinity *affinity,
                                   uint16List **list, Error **errp)
{
    g_autofree unsigned long *allowed =
        host_cpus_allowed(&iothread_cpus, errp);

    if (allowed && host_cpus_check(&iothread_cpus, *list, allowed, errp)) {
        qapi_free_uint16List(affinity->wanted);
        affinity->wanted = g_steal_pointer(list);
    }
}

static void iothread_set_cpu_affinity(Object *obj, Visitor *v,
                                      const char *name, void *opaque,
                                      Error **errp)
{
    IOThreadAffinity *affinity = iothread_affinity_of(obj);
    g_autoptr(uint16List) list = NULL;

    if (!host_cpus_visit(&iothread_cpus, v, name, &list, errp)) {
        return;
    }
    if (!affinity->thread) {
        iothread_affinity_want(affinity, &list, errp);
        return;
    }
    if (host_cpus_set(&iothread_cpus, affinity->thread, list, errp)) {
        qapi_free_uint16List(affinity->requested);
        affinity->requested = g_steal_pointer(&list);
    }
}

static void iothread_get_cpu_affinity(Object *obj, Visitor *v,
                                      const char *name, void *opaque,
                                      Error **errp)
{
    IOThreadAffinity *affinity = iothread_affinity_of(obj);
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

static void iothread_check_thread_context(const Object *obj, const char *name,
                                          Object *val, Error **errp)
{
    if (iothread_affinity_of(obj)->thread) {
        error_setg(errp, "Property 'iothread.thread-context' can be set when "
                   "the iothread is created only");
    }
}

void iothread_affinity_class_init(ObjectClass *klass, ptrdiff_t offset)
{
    iothread_affinity_offset = offset;
    object_class_property_add(klass, "cpu-affinity", "uint16List",
                              iothread_get_cpu_affinity,
                              iothread_set_cpu_affinity, NULL, NULL);
    object_class_property_set_description(klass, "cpu-affinity",
        "numbers of host CPUs that the thread may run on (default: as the "
        "process)");
    object_class_property_add_link(klass, "thread-context",
        TYPE_THREAD_CONTEXT, offset + offsetof(IOThreadAffinity, context),
        iothread_check_thread_context, OBJ_PROP_LINK_STRONG);
    object_class_property_set_description(klass, "thread-context",
        "thread-context object to create the thread in (default: none)");
}

bool iothread_affinity_create_thread(IOThreadAffinity *affinity,
                                     QemuThread *thread, const char *name,
                                     void *(*start_routine)(void *),
                                     void *arg, Error **errp)
{
    int err = affinity->context ?
        thread_context_try_create_thread(affinity->context, thread, name,
                                         start_routine, arg,
                                         QEMU_THREAD_JOINABLE) :
        qemu_thread_try_create(thread, name, start_routine, arg,
                               QEMU_THREAD_JOINABLE);

    if (err) {
        error_setg(errp, "the IOThread cannot be created: no thread can be "
                   "had: %s", strerror(err));
    }
    return !err;
}

bool iothread_affinity_started(IOThreadAffinity *affinity, QemuThread *thread,
                               Error **errp)
{
    affinity->thread = thread;
    affinity->requested = g_steal_pointer(&affinity->wanted);
    return !affinity->requested ||
           host_cpus_set(&iothread_cpus, thread, affinity->requested, errp);
}

bool iothread_affinity_query(IOThreadAffinity *affinity, uint16List **cpus)
{
    return affinity->thread && host_cpus_get(affinity->thread, cpus);
}

void iothread_affinity_cleanup(IOThreadAffinity *affinity)
{
    affinity->thread = NULL;
    qapi_free_uint16List(affinity->wanted);
    affinity->wanted = NULL;
    qapi_free_uint16List(affinity->requested);
    affinity->requested = NULL;
}
