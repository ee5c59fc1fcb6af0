/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "halt-poll.h"

bool halt_poll_set_kvm(const char *property, uint32_t ns, Error **errp)
{
    error_setg(errp, "Property '%s' value %u needs the accelerator kvm, which "
               "this QEMU does not have", property, ns);
    return false;
}
