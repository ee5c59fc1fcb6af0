/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The host CPUs that a thread runs on, as properties have them
 *
 * A thread gets all CPUs that were asked for or keeps those that it had, and
 * reading asks the kernel, so that it also shows what a management layer has
 * set from outside.  None of that takes another thread, which could not always
 * be had.  All functions run under the BQL.
 */
#ifndef IOTHREAD_TUNING_HOST_CPUS_H
#define IOTHREAD_TUNING_HOST_CPUS_H

#include "qapi/qapi-builtin-types.h"
#include "qapi/visitor.h"
#include "qemu/thread.h"

/* What error messages say */
typedef struct HostCpusProperty {
    const char *name;           /* such as "iothread.cpu-affinity" */
    const char *remedy;         /* what else to do in a sandbox */
} HostCpusProperty;

/* CPUs are bits 0 to HOST_CPUS_MAX - 1, and fit into a uint16_t */
#define HOST_CPUS_MAX (UINT16_MAX + 1)

/**
 * host_cpus_allowed: ask the kernel for those of the calling thread, for
 * threads that it is going to create
 *
 * Returns: HOST_CPUS_MAX bits, to be freed; NULL with an error
 */
unsigned long *host_cpus_allowed(const HostCpusProperty *property,
                                 Error **errp);

/**
 * host_cpus_visit: read a list of numbers that CPUs can have
 * @name: of the property, for the visitor
 * @list: where to store the list, to be freed by the caller; NULL if empty
 *
 * Returns: false with an error if it is none
 */
bool host_cpus_visit(const HostCpusProperty *property, Visitor *v,
                     const char *name, uint16List **list, Error **errp);

/**
 * host_cpus_check: are these one or more CPUs that the host allows?
 *
 * Returns: false with an error if they are not
 */
bool host_cpus_check(const HostCpusProperty *property, const uint16List *list,
                     const unsigned long *allowed, Error **errp);

/**
 * host_cpus_set: let the thread run there and nowhere else
 * @list: one or more CPUs that the host allows that thread
 *
 * Returns: false with an error if they are not, or if the kernel refuses; the
 * thread has the CPUs that it had before then
 */
bool host_cpus_set(const HostCpusProperty *property, QemuThread *thread,
                   const uint16List *list, Error **errp);

/**
 * host_cpus_get: the CPUs that the kernel lets the thread run on
 * @list: where to store them, to be freed by the caller
 *
 * Returns: false if the host can't tell
 */
bool host_cpus_get(QemuThread *thread, uint16List **list);

/**
 * bitmap_ranges_text: the bits that are set, as people write them: "0-3,6"
 *
 * Returns: to be freed
 */
char *bitmap_ranges_text(const unsigned long *bits, unsigned long nbits);

/* host_cpus_text: the same for a list */
char *host_cpus_text(const uint16List *list);

/**
 * host_cpus_floats: may the thread run on all CPUs of a large host?
 *
 * Lists of these for each of many threads are long, and tell nothing.
 */
bool host_cpus_floats(QemuThread *thread);

#endif /* IOTHREAD_TUNING_HOST_CPUS_H */
