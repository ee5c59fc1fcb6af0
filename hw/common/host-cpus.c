/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-builtin-visit.h"
#include "qapi/util.h"
#include "qemu/bitmap.h"
#include "host-cpus.h"

#define HOST_CPUS_MAX (UINT16_MAX + 1)
/* As many are listed for each thread in any case */
#define HOST_CPUS_FEW 64

static uint16List *cpu_set_to_list(const HostCpus *set)
{
    uint16List *list = NULL, **tail = &list;
    unsigned long cpu = find_first_bit(set->cpus, set->nbits);

    while (cpu < set->nbits) {
        QAPI_LIST_APPEND(tail, cpu);
        cpu = find_next_bit(set->cpus, set->nbits, cpu + 1);
    }
    return list;
}

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

HostCpus *host_cpus_allowed(const HostCpusProperty *property, Error **errp)
{
    g_autofree unsigned long *before = NULL;
    unsigned long *cpus = NULL;
    HostCpus *allowed;
    QemuThread self;
    int err;

    qemu_thread_get_self(&self);
    err = thread_get(&self, &before) ?: thread_measure(&self, before, &cpus);
    if (err) {
        error_set_affinity(property, err, errp);
        return NULL;
    }
    allowed = g_new0(HostCpus, 1);
    allowed->cpus = cpus;
    allowed->nbits = HOST_CPUS_MAX;
    return allowed;
}

void host_cpus_free(HostCpus *allowed)
{
    if (allowed) {
        g_free(allowed->cpus);
        g_free(allowed);
    }
}

bool host_cpus_check(const HostCpusProperty *property, const uint16List *list,
                     const HostCpus *allowed, Error **errp)
{
    g_autofree char *range = bitmap_ranges_text(allowed->cpus, allowed->nbits);

    if (!list) {
        error_setg(errp, "Property '%s' value is an empty list, and must have "
                   "one or more of the CPUs %s", property->name, range);
        return false;
    }
    for (; list; list = list->next) {
        if (list->value >= allowed->nbits ||
            !test_bit(list->value, allowed->cpus)) {
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
static void refuse(const HostCpusProperty *property, QemuThread *thread,
                   unsigned long *before, const uint16List *list, int err,
                   Error **errp)
{
    HostCpus allowed = { .nbits = HOST_CPUS_MAX };
    int failed = thread_measure(thread, before, &allowed.cpus);

    if (failed) {
        error_set_affinity(property, failed, errp);
    } else if (host_cpus_check(property, list, &allowed, errp)) {
        /* They were not allowed just now */
        error_set_affinity(property, err ?: EAGAIN, errp);
    }
    g_free(allowed.cpus);
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
    refuse(property, thread, before, list, err, errp);
    return false;
}

bool host_cpus_get(QemuThread *thread, uint16List **list)
{
    HostCpus set;

    if (qemu_thread_get_affinity(thread, &set.cpus, &set.nbits)) {
        return false;
    }
    *list = cpu_set_to_list(&set);
    g_free(set.cpus);
    return true;
}

bool host_cpus_floats(QemuThread *thread)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    HostCpus set;
    bool all;

    if (online <= HOST_CPUS_FEW ||
        qemu_thread_get_affinity(thread, &set.cpus, &set.nbits)) {
        return false;
    }
    all = bitmap_count_one(set.cpus, set.nbits) >= online;
    g_free(set.cpus);
    return all;
}
