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

typedef struct AffinityProbe {
    HostCpus *allowed;
    int err;                    /* a positive errno */
} AffinityProbe;

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

char *host_cpus_text(const uint16List *list)
{
    g_autofree unsigned long *cpus = bitmap_new(HOST_CPUS_MAX);

    for (; list; list = list->next) {
        set_bit(list->value, cpus);
    }
    return bitmap_ranges_text(cpus, HOST_CPUS_MAX);
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
        probe->err = abs(qemu_thread_get_affinity(&self, &probe->allowed->cpus,
                                                  &probe->allowed->nbits));
    }
    return NULL;
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

/*
 * Which CPUs may a thread run on?  The kernel drops those that it does not have
 * or that a cpuset excludes without a word, and that must not happen to those
 * that somebody asked for.  So ask for all of them with a thread that has
 * nothing to lose.
 */
HostCpus *host_cpus_allowed(const HostCpusProperty *property, Error **errp)
{
    g_autoptr(HostCpus) allowed = g_new0(HostCpus, 1);
    AffinityProbe probe = { .allowed = allowed };
    QemuThread thread;

    qemu_thread_create(&thread, "affinity-probe", probe_run, &probe,
                       QEMU_THREAD_JOINABLE);
    qemu_thread_join(&thread);
    if (probe.err) {
        error_set_affinity(property, probe.err, errp);
        return NULL;
    }
    return g_steal_pointer(&allowed);
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
    g_autoptr(HostCpus) allowed = NULL;
    g_autoptr(uint16List) cpus = visit_list(property, v, name, errp);

    if (*errp) {
        return false;
    }
    allowed = host_cpus_allowed(property, errp);
    if (!allowed || !host_cpus_check(property, cpus, allowed, errp)) {
        return false;
    }
    *list = g_steal_pointer(&cpus);
    return true;
}

bool host_cpus_set(const HostCpusProperty *property, QemuThread *thread,
                   const uint16List *list, Error **errp)
{
    int err = thread_set_cpus(thread, list);

    if (err) {
        error_set_affinity(property, err, errp);
    }
    return !err;
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
