/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include <sched.h>
#include "host-affinity.h"
#include "qobject/qnum.h"

unsigned cpus[2];

bool find_cpus(void)
{
    cpu_set_t set;
    int n = 0;

    g_assert_cmpint(sched_getaffinity(0, sizeof(set), &set), ==, 0);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            cpus[n++] = cpu;
        }
    }
    return n == 2;
}

unsigned list_mask(QList *list)
{
    const QListEntry *entry;
    unsigned mask = 0;

    g_assert_nonnull(list);
    QLIST_FOREACH_ENTRY(list, entry) {
        unsigned cpu = qnum_get_int(qobject_to(QNum, qlist_entry_obj(entry)));

        if (cpu == cpus[0] || cpu == cpus[1]) {
            mask |= cpu == cpus[0] ? 1 : 2;
        } else {
            mask |= 4;
        }
    }
    return mask;
}

unsigned kernel_mask(pid_t tid)
{
    cpu_set_t set;
    bool first, second;

    g_assert_cmpint(sched_getaffinity(tid, sizeof(set), &set), ==, 0);
    first = CPU_ISSET(cpus[0], &set);
    second = CPU_ISSET(cpus[1], &set);
    return first + 2 * second + (CPU_COUNT(&set) > first + second ? 4 : 0);
}
