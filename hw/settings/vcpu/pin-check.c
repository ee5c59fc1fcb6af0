/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "pin-check.h"

/* Those vCPUs that may run on several host CPUs, or else on @cpu only */
static gboolean pin_selected(const VcpuPin *pin, gboolean several, unsigned cpu)
{
    return several ? pin->ncpus > 1 : pin->ncpus == 1 && pin->cpu == cpu;
}

static unsigned count_pins(const VcpuPin *pins, unsigned n, gboolean several,
                      unsigned cpu)
{
    unsigned found = 0;

    for (unsigned i = 0; i < n; i++) {
        found += pin_selected(&pins[i], several, cpu);
    }
    return found;
}

/* As "vCPU 3" or "vCPUs 0-2,5" */
static void append_vcpus(GString *text, const VcpuPin *pins, unsigned n,
                         gboolean several, unsigned cpu)
{
    const char *comma = "";

    g_string_append_printf(text, "%svCPU%s ", text->len ? "; " : "",
                           count_pins(pins, n, several, cpu) > 1 ? "s" : "");
    for (unsigned i = 0; i < n; i++) {
        unsigned last = i;

        if (!pin_selected(&pins[i], several, cpu)) {
            continue;
        }
        while (last + 1 < n && pin_selected(&pins[last + 1], several, cpu)) {
            last++;
        }
        g_string_append_printf(text, "%s%u", comma, pins[i].vcpu);
        if (last > i) {
            g_string_append_printf(text, "-%u", pins[last].vcpu);
        }
        comma = ",";
        i = last;
    }
}

char *pin_check(const VcpuPin *pins, unsigned n)
{
    GString *text = g_string_new(NULL);

    if (count_pins(pins, n, TRUE, 0)) {
        append_vcpus(text, pins, n, TRUE, 0);
        g_string_append(text, " may run on several host CPUs");
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned cpu = pins[i].cpu;

        /* Each of them once, with its first vCPU */
        if (pins[i].ncpus == 1 && !count_pins(pins, i, FALSE, cpu) &&
            count_pins(pins, n, FALSE, cpu) > 1) {
            append_vcpus(text, pins, n, FALSE, cpu);
            g_string_append_printf(text, " share host CPU %u", cpu);
        }
    }
    return g_string_free(text, text->len == 0);
}
