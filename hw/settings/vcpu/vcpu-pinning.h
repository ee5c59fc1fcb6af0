/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Guests that are told of dedicated host CPUs, and vCPUs that have none
 *
 * Management pins the threads after QEMU has started, so the time to look is
 * when the VM first runs.  Under the BQL.
 */
#ifndef NEARMETAL_VCPU_PINNING_H
#define NEARMETAL_VCPU_PINNING_H

/**
 * vcpu_pinning_expect: warn when the VM first runs if kvm-hint-dedicated tells
 * the guest that its vCPUs have CPUs to themselves, and the kernel has it
 * otherwise
 */
void vcpu_pinning_expect(void);

#endif /* NEARMETAL_VCPU_PINNING_H */
