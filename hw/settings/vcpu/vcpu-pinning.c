/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/error-report.h"
#include "hw/core/cpu.h"
#include "qapi/error.h"
#include "system/kvm.h"
#include "system/runstate.h"
#include "pin-check.h"
#include "vcpu-pinning.h"

#define HINT "kvm-hint-dedicated"

static VMChangeStateEntry *pinning_entry;

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

/* Is the guest told so?  Only x86 has the properties, and KVM the hint. */
static bool hint_given(CPUState *cpu)
{
    Object *obj = OBJECT(cpu);

    return kvm_enabled() && object_property_find(obj, HINT) &&
           object_property_get_bool(obj, "kvm", &error_abort) &&
           object_property_get_bool(obj, HINT, &error_abort);
}

static void warn_unless_pinned(void)
{
    g_autoptr(GArray) pins = g_array_new(false, false, sizeof(VcpuPin));
    g_autofree char *text = NULL;
    bool hint = false;
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        VcpuPin pin;

        hint |= hint_given(cpu);
        if (get_pin(cpu, &pin)) {
            g_array_append_val(pins, pin);
        }
    }
    text = pin_check((VcpuPin *)pins->data, pins->len);
    if (hint && text) {
        warn_report(HINT " tells the guest that each vCPU has a host CPU of "
                    "its own, but %s; pin each vCPU to a host CPU that "
                    "nothing else uses", text);
    }
}

static void pinning_vm_state(void *opaque, bool running, RunState state)
{
    if (running) {
        qemu_del_vm_change_state_handler(pinning_entry);
        warn_unless_pinned();
    }
}

void vcpu_pinning_expect(void)
{
    pinning_entry = qemu_add_vm_change_state_handler(pinning_vm_state, NULL);
}
