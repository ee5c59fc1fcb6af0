/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that a guest reads as that of a device
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Any thread, no lock: caches of one CPU are those of all.
 */
#ifndef NEARMETAL_TPM_DCACHE_H
#define NEARMETAL_TPM_DCACHE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Make @size bytes at @data seen by a guest whose mapping bypasses the caches.
 * Under KVM on Arm that is what a guest's Device mapping does where the CPU has
 * no FEAT_S2FWB (Armv8.4); nothing to do on other hosts.
 */
static inline void dcache_clean(const void *data, size_t size)
{
#if defined(__aarch64__) && defined(__linux__)
    uintptr_t at, end = (uintptr_t)data + size;
    uint64_t ctr;

    /* CTR_EL0.DminLine: log2 of the words of the smallest line */
    asm volatile("mrs %0, ctr_el0" : "=r" (ctr));
    at = (uintptr_t)data & -(uintptr_t)(4u << ((ctr >> 16) & 15));
    for (; at < end; at += 4u << ((ctr >> 16) & 15)) {
        asm volatile("dc civac, %0" : : "r" (at) : "memory");
    }
    asm volatile("dsb sy" : : : "memory");
#endif
}

#endif
