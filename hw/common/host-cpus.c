/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-builtin-visit.h"
#include "qapi/util.h"
#include "qemu/bitmap.h"
#include "host-cpus.h"

/* As many are listed for each thread in any case */
#define HOST_CPUS_FEW 64

char *bitmap_ranges_text(const unsigned long *bits, unsigned long nbits)
{
    GString *text = g_string_new(NULL);
    unsigned long first = find_first_bit(bits, nbits);

    while (first < nbits) {
        unsigned long end = find_next_zero_bit(bits, nbits, first);

        g_string_append_printf(text, "%s%lu", text->len ? "," : "", first);
        if (end - first > 1) {
            g_string_append_printf(text, "-%lu", end - 1);
        }
        first = find_next_bit(bits, nbits, end);
    }
    return g_string_free(text, false);
}

static unsigned long *list_to_bitmap(const uint16List *list)
{
    unsigned long *cpus = bitmap_new(HOST_CPUS_MAX);

    for (; list; list = list->next) {
        set_bit(list->value, cpus);
    }
    return cpus;
}

char *host_cpus_text(const uint16List *list)
{
    g_autofree unsigned long *cpus = list_to_bitmap(list);

    return bitmap_ranges_text(cpus, HOST_CPUS_MAX);
}

/* The host functions return a positive errno, or -ENOSYS */
static int thread_set(QemuThread *thread, unsigned long *cpus)
{
    return abs(qemu_thread_set_affinity(thread, cpus, HOST_CPUS_MAX));
}

/* @cpus: of HOST_CPUS_MAX bits, to be freed; NULL with an error */
static int thread_get(QemuThread *thread, unsigned long **cpus)
{
    unsigned long *have, nbits;
    int err = abs(qemu_thread_get_affinity(thread, &have, &nbits));

    *cpus = NULL;
    if (!err) {
        *cpus = bitmap_new(HOST_CPUS_MAX);
        bitmap_copy(*cpus, have, MIN(nbits, HOST_CPUS_MAX));
        g_free(have);
    }
    return err;
}

/*
 * Which CPUs may @thread run on, which now has @before?  The kernel drops those
 * that it does not have or that a cpuset excludes, which threads may have of
 * their own, without a word.  So ask for all, and go back.  A thread that had
 * all keeps what was set, as it then follows a cpuset that grows.
 */
static int thread_measure(QemuThread *thread, unsigned long *before,
                          unsigned long **allowed)
{
    g_autofree unsigned long *all = bitmap_new(HOST_CPUS_MAX);
    int err;

    bitmap_set(all, 0, HOST_CPUS_MAX);
    *allowed = NULL;
    err = thread_set(thread, all) ?: thread_get(thread, allowed);
    if (err || !bitmap_equal(before, *allowed, HOST_CPUS_MAX)) {
        thread_set(thread, before);
    }
    return err;
}

static void error_set_affinity(const HostCpusProperty *property, int err,
                               Error **errp)
{
    if (err == EPERM) {
        error_setg(errp, "Property '%s' cannot be set: this process may not "
                   "set CPU affinities, as with -sandbox resourcecontrol=deny; "
                   "%s", property->name, property->remedy);
    } else {
        error_setg(errp, "Property '%s' cannot be set: %s", property->name,
                   strerror(err));
    }
}

unsigned long *host_cpus_allowed(const HostCpusProperty *property,
                                 Error **errp)
{
    g_autofree unsigned long *before = NULL;
    unsigned long *cpus = NULL;
    QemuThread self;
    int err;

    qemu_thread_get_self(&self);
    err = thread_get(&self, &before) ?: thread_measure(&self, before, &cpus);
    if (err) {
        error_set_affinity(property, err, errp);
    }
    return cpus;
}

bool host_cpus_check(const HostCpusProperty *property, const uint16List *list,
                     const unsigned long *allowed, Error **errp)
{
    g_autofree char *range = bitmap_ranges_text(allowed, HOST_CPUS_MAX);

    if (!list) {
        error_setg(errp, "Property '%s' value is an empty list, and must have "
                   "one or more of the CPUs %s", property->name, range);
        return false;
    }
    for (; list; list = list->next) {
        if (!test_bit(list->value, allowed)) {
            error_setg(errp, "Property '%s' value %u is not one of the CPUs "
                       "that the host allows, %s", property->name, list->value,
                       range);
            return false;
        }
    }
    return true;
}

/* Read as wider numbers, to have the value for the message */
static uint16List *visit_list(const HostCpusProperty *property, Visitor *v,
                              const char *name, Error **errp)
{
    ERRP_GUARD();
    g_autoptr(uint16List) list = NULL;
    uint16List **tail = &list;
    intList *numbers = NULL;

    if (!visit_type_intList(v, name, &numbers, errp)) {
        error_prepend(errp, "Property '%s' takes a list of CPU numbers, 0 to "
                      "%d: ", property->name, HOST_CPUS_MAX - 1);
        return NULL;
    }
    for (intList *l = numbers; l; l = l->next) {
        if (l->value < 0 || l->value >= HOST_CPUS_MAX) {
            error_setg(errp, "Property '%s' value %" PRId64 " is out of range, "
                       "0 to %d", property->name, l->value, HOST_CPUS_MAX - 1);
            break;
        }
        QAPI_LIST_APPEND(tail, l->value);
    }
    qapi_free_intList(numbers);
    return *errp ? NULL : g_steal_pointer(&list);
}

bool host_cpus_visit(const HostCpusProperty *property, Visitor *v,
                     const char *name, uint16List **list, Error **errp)
{
    ERRP_GUARD();

    *list = visit_list(property, v, name, errp);
    return !*errp;
}

/* The kernel has not taken the list as it is: undo, and say why */
static void undo_affinity(const HostCpusProperty *property, QemuThread *thread,
                   unsigned long *before, const uint16List *list, int err,
                   Error **errp)
{
    g_autofree unsigned long *allowed = NULL;
    int failed = thread_measure(thread, before, &allowed);

    if (failed) {
        error_set_affinity(property, failed, errp);
    } else if (host_cpus_check(property, list, allowed, errp)) {
        /* They were not allowed just now */
        error_set_affinity(property, err ?: EAGAIN, errp);
    }
}

bool host_cpus_set(const HostCpusProperty *property, QemuThread *thread,
                   const uint16List *list, Error **errp)
{
    g_autofree unsigned long *wanted = list_to_bitmap(list);
    g_autofree unsigned long *before = NULL, *now = NULL;
    int err = thread_get(thread, &before);

    if (err) {
        error_set_affinity(property, err, errp);
        return false;
    }
    err = thread_set(thread, wanted);
    if (err && err != EINVAL) {
        error_set_affinity(property, err, errp);
        return false;
    }
    if (!err && !thread_get(thread, &now) &&
        bitmap_equal(now, wanted, HOST_CPUS_MAX)) {
        return true;
    }
    undo_affinity(property, thread, before, list, err, errp);
    return false;
}

bool host_cpus_get(QemuThread *thread, uint16List **list)
{
    g_autofree unsigned long *cpus = NULL;

    if (thread_get(thread, &cpus)) {
        return false;
    }
    *list = NULL;
    for (unsigned long cpu = find_first_bit(cpus, HOST_CPUS_MAX);
         cpu < HOST_CPUS_MAX;
         cpu = find_next_bit(cpus, HOST_CPUS_MAX, cpu + 1)) {
        QAPI_LIST_APPEND(list, cpu);
    }
    return true;
}

bool host_cpus_floats(QemuThread *thread)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    g_autofree unsigned long *cpus = NULL;

    return online > HOST_CPUS_FEW && !thread_get(thread, &cpus) &&
           bitmap_count_one(cpus, HOST_CPUS_MAX) >= online;
}
