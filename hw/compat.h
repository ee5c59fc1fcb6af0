/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What differs between the QEMU releases that this code is built with
 *
 * No other file asks for QEMU's version.  The code is written for the newest
 * of them, and this header makes up for what an older one lacks: when the
 * older one is given up, its lines here go and nothing else changes.  It
 * includes nothing itself, so that any file can have it, right after
 * qemu/osdep.h, which tells the version.
 */
#ifndef NEARMETAL_COMPAT_H
#define NEARMETAL_COMPAT_H

#define QEMU_AT_LEAST(major, minor)                                     \
    (QEMU_VERSION_MAJOR > (major) ||                                    \
     (QEMU_VERSION_MAJOR == (major) && QEMU_VERSION_MINOR >= (minor)))

/* Headers that moved, for #include COMPAT_... */
#if QEMU_AT_LEAST(10, 1)
#define COMPAT_ADDRESS_SPACES_H "system/address-spaces.h"
#define COMPAT_MEMORY_H         "system/memory.h"
#define COMPAT_RAMBLOCK_H       "system/ramblock.h"
#else
#define COMPAT_ADDRESS_SPACES_H "exec/address-spaces.h"
#define COMPAT_MEMORY_H         "exec/memory.h"
#define COMPAT_RAMBLOCK_H       "exec/ramblock.h"
#endif

/* TypeInfo.class_init takes a pointer to this */
#if QEMU_AT_LEAST(10, 1)
typedef const void ClassInitData;
#else
typedef void ClassInitData;
#endif

#if !QEMU_AT_LEAST(10, 2)
#define CharFrontend CharBackend
#define VFIO_PCI_DEVICE(obj) VFIO_PCI(obj)
#define vfio_device_has_region_cap vfio_has_region_cap
#define queue_tb_flush(cpu) tb_flush(cpu)
#define qtest_init_ext qtest_init_with_env_and_capabilities
#endif

/* The modes were a list that ends with -1 */
#if QEMU_AT_LEAST(10, 2)
#define compat_block_mode(reasonp, mode, errp) \
    migrate_add_blocker_modes(reasonp, BIT(mode), errp)
#else
#define compat_block_mode(reasonp, mode, errp) \
    migrate_add_blocker_modes(reasonp, errp, mode, -1)
#endif

/* Caches of an x86 CPU: @amd has its own where there are two sets of them */
#if QEMU_AT_LEAST(10, 1)
#define compat_cpu_caches(env, amd) (&(env)->cache_info)
#else
#define compat_cpu_caches(env, amd) \
    ((amd) ? &(env)->cache_info_amd : &(env)->cache_info_cpuid4)
#endif

/* CLIDR_EL1 of an Arm CPU */
#if QEMU_AT_LEAST(10, 1)
#define compat_cpu_clidr(cpu) GET_IDREG(&(cpu)->isar, CLIDR)
#else
#define compat_cpu_clidr(cpu) ((cpu)->clidr)
#endif

/* Does the event loop submit requests of io_uring, and run what completes? */
#if QEMU_AT_LEAST(10, 2) && defined(CONFIG_LINUX_IO_URING)
#define COMPAT_AIO_ADD_SQE
#endif

#endif /* NEARMETAL_COMPAT_H */
