/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "system/kvm.h"
#include "halt-poll.h"

bool halt_poll_set_kvm(const char *property, uint32_t ns, Error **errp)
{
#ifdef CONFIG_KVM
    int ret;

    if (!kvm_enabled()) {
        error_setg(errp, "Property '%s' value %u needs the accelerator kvm",
                   property, ns);
        return false;
    }
    if (kvm_vm_check_extension(kvm_state, KVM_CAP_HALT_POLL) <= 0) {
        error_setg(errp, "Property '%s' value %u needs a host whose KVM has "
                   "KVM_CAP_HALT_POLL, as Linux has since 5.8", property,
                   ns);
        return false;
    }
    ret = kvm_vm_enable_cap(kvm_state, KVM_CAP_HALT_POLL, 0, ns);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Property '%s' value %u is refused by KVM",
                         property, ns);
        return false;
    }
    return true;
#else
    error_setg(errp, "Property '%s' value %u needs the accelerator kvm, which "
               "this QEMU does not have", property, ns);
    return false;
#endif
}
