/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/qdev-core.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "halt-poll.h"

#define HOST_DEFAULT (-1)

/* Of the one machine there is */
static int64_t halt_poll_ns = HOST_DEFAULT;

static void get_halt_poll(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    visit_type_int(v, name, &halt_poll_ns, errp);
}

static bool check_value(const char *property, int64_t ns, Error **errp)
{
    if (ns < HOST_DEFAULT || ns > UINT32_MAX) {
        error_setg(errp, "Property '%s' value %" PRId64 " is out of range: 0 "
                   "to %u, or -1 for the host's default", property, ns,
                   UINT32_MAX);
        return false;
    }
    if (ns == HOST_DEFAULT && phase_check(PHASE_ACCEL_CREATED) &&
        halt_poll_ns != HOST_DEFAULT) {
        error_setg(errp, "Property '%s' value -1 is refused: KVM cannot go "
                   "back to the host's default once the VM has had a value, "
                   "which may be 0 to %u", property, UINT32_MAX);
        return false;
    }
    return true;
}

/* With -preconfig the accelerator is there before the machine */
static void set_halt_poll(Object *obj, Visitor *v, const char *name,
                          void *opaque, Error **errp)
{
    ERRP_GUARD();
    g_autofree char *property = g_strdup_printf("%s.%s",
                                                object_get_typename(obj), name);
    int64_t ns;

    if (!visit_type_int(v, name, &ns, errp)) {
        error_prepend(errp, "Property '%s' takes 0 to %u, or -1 for the host's "
                      "default: ", property, UINT32_MAX);
        return;
    }
    if (!check_value(property, ns, errp)) {
        return;
    }
    if (phase_check(PHASE_ACCEL_CREATED) && ns != HOST_DEFAULT &&
        !halt_poll_set_kvm(property, ns, errp)) {
        return;
    }
    halt_poll_ns = ns;
}

void halt_poll_class_init(ObjectClass *oc)
{
    object_class_property_add(oc, "kvm-halt-poll-ns", "int", get_halt_poll,
                              set_halt_poll, NULL, NULL);
    object_class_property_set_description(oc, "kvm-halt-poll-ns",
        "longest time that KVM polls for when a vCPU halts, in ns, 0 to "
        "4294967295, -1: as the host does (default: -1)");
}

bool halt_poll_start(MachineState *machine, Error **errp)
{
    if (halt_poll_ns == HOST_DEFAULT) {
        return true;
    }
    return halt_poll_set_kvm("machine.kvm-halt-poll-ns", halt_poll_ns, errp);
}
