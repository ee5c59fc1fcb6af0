/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The host CPUs that an IOThread runs on: properties cpu-affinity and
 * thread-context
 *
 * cpu-affinity is taken as a whole or refused, as the kernel allows, and
 * reading it asks the kernel, so that it also shows what a management layer has
 * set from outside.  thread-context names an object whose
 * thread creates the IOThread's, which then inherits its affinity: the way in
 * under a sandbox that denies resource control, as thread contexts are created
 * before it is entered.
 *
 * All functions run under the BQL.
 */
#ifndef IOTHREAD_TUNING_IOTHREAD_AFFINITY_H
#define IOTHREAD_TUNING_IOTHREAD_AFFINITY_H

#include "qapi/qapi-builtin-types.h"
#include "qemu/thread.h"
#include "qemu/thread-context.h"
#include "qom/object.h"

/* Part of an IOThread, zero initialised */
typedef struct IOThreadAffinity {
    QemuThread *thread;         /* NULL until it runs */
    uint16List *wanted;         /* CPUs to run on, until it runs */
    uint16List *requested;      /* those last asked for, once it runs */
    ThreadContext *context;     /* creates the thread, may be NULL */
} IOThreadAffinity;

/**
 * iothread_affinity_class_init: add the properties to the class
 * @offset: where an instance has its IOThreadAffinity
 */
void iothread_affinity_class_init(ObjectClass *klass, ptrdiff_t offset);

/**
 * iothread_affinity_create_thread: create it, joinable, by way of the
 * thread-context if there is one
 *
 * Returns: false with an error where no thread can be had
 */
bool iothread_affinity_create_thread(IOThreadAffinity *affinity,
                                     QemuThread *thread, const char *name,
                                     void *(*start_routine)(void *),
                                     void *arg, Error **errp);

/**
 * iothread_affinity_started: @thread runs, give it the affinity asked for
 *
 * Returns: false with an error if the kernel refuses.  The thread then runs
 * with the affinity that it has inherited; the caller stops it.
 */
bool iothread_affinity_started(IOThreadAffinity *affinity, QemuThread *thread,
                               Error **errp);

/**
 * iothread_affinity_query: the CPUs that the kernel lets the thread run on
 * @cpus: where to store them, to be freed by the caller
 *
 * Returns: false if the thread does not run or the host can't tell
 */
bool iothread_affinity_query(IOThreadAffinity *affinity, uint16List **cpus);

/* To be called before the thread is joined, or if it was never created */
void iothread_affinity_cleanup(IOThreadAffinity *affinity);

#endif /* IOTHREAD_TUNING_IOTHREAD_AFFINITY_H */
