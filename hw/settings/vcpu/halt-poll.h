/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Machine property kvm-halt-poll-ns: for how long KVM polls before it lets a
 * vCPU that has halted sleep
 *
 * -1, the default, leaves that to the host's halt_poll_ns and makes no call.
 * A VM that was given a value keeps having one of its own, as KVM knows no way
 * back.  Under the BQL.
 */
#ifndef NEARMETAL_HALT_POLL_H
#define NEARMETAL_HALT_POLL_H

#include "hw/boards.h"

/* halt_poll_class_init: add the property to the class of all machines */
void halt_poll_class_init(ObjectClass *oc);

/**
 * halt_poll_start: tell KVM what was asked for; later changes go there at once
 *
 * Returns: false with an error if something was and KVM can't
 */
bool halt_poll_start(MachineState *machine, Error **errp);

/**
 * halt_poll_set_kvm: tell KVM, without which this is an error
 * @property: for messages
 */
bool halt_poll_set_kvm(const char *property, uint32_t ns, Error **errp);

#endif /* NEARMETAL_HALT_POLL_H */
