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
 * vcpu_pinning_expect: the guest is told that its vCPUs have CPUs to
 * themselves; warn when the VM first runs if the kernel has it otherwise
 * @option: who says so, for the message; kept
 */
void vcpu_pinning_expect(const char *option);

#endif /* NEARMETAL_VCPU_PINNING_H */
