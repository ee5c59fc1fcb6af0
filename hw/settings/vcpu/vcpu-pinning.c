/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/error-report.h"
#include "hw/core/cpu.h"
#include "system/runstate.h"
#include "pin-check.h"
#include "vcpu-pinning.h"

static VMChangeStateEntry *entry;
static bool checked;

/* Returns: false if the host can't tell */
static bool get_pin(CPUState *cpu, VcpuPin *pin)
{
    unsigned long *cpus, nbits;

    if (!cpu->thread || qemu_thread_get_affinity(cpu->thread, &cpus, &nbits)) {
        return false;
    }
    pin->vcpu = cpu->cpu_index;
    pin->ncpus = bitmap_count_one(cpus, nbits);
    pin->cpu = find_first_bit(cpus, nbits);
    g_free(cpus);
    return true;
}

static void warn_unless_pinned(const char *option)
{
    g_autoptr(GArray) pins = g_array_new(false, false, sizeof(VcpuPin));
    g_autofree char *text = NULL;
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        VcpuPin pin;

        if (get_pin(cpu, &pin)) {
            g_array_append_val(pins, pin);
        }
    }
    text = pin_check((VcpuPin *)pins->data, pins->len);
    if (text) {
        warn_report("%s tells the guest that each vCPU has a host CPU of its "
                    "own, but %s; pin each vCPU to a host CPU that nothing "
                    "else uses", option, text);
    }
}

static void vm_state_changed(void *opaque, bool running, RunState state)
{
    if (running && !checked) {
        checked = true;
        warn_unless_pinned(opaque);
    }
}

void vcpu_pinning_expect(const char *option)
{
    if (!entry) {
        entry = qemu_add_vm_change_state_handler(vm_state_changed,
                                                 (void *)option);
    }
}
