/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A host with made-up PCI devices for vfio-pci
 *
 * Starts QEMU with the stand-in for VFIO; vfio-standin.h tells how devices are
 * described.  VFIO_STANDIN_LIB in the environment names the built library.
 */
#ifndef NEARMETAL_QTEST_VFIO_HOST_H
#define NEARMETAL_QTEST_VFIO_HOST_H

#include "libqtest.h"

typedef struct VfioHost VfioHost;

/* Ends the test as a failed assertion does, and so QEMU; takes a format */
#define vfio_fail(...)                                                  \
    g_assertion_message(G_LOG_DOMAIN, __FILE__, __LINE__, G_STRFUNC,    \
                        g_strdup_printf(__VA_ARGS__))

/**
 * vfio_host_available: can the stand-in be used?
 *
 * Marks the running test as skipped, with the reason, if not.
 */
bool vfio_host_available(void);

/**
 * vfio_host_new: make a host
 * @devices: lines as in vfio-standin.h
 */
VfioHost *vfio_host_new(const char *devices);
void vfio_host_free(VfioHost *host);

/*
 * Starts QEMU with these arguments, and the machine of this test's target
 * unless there is -machine among them
 */
QTestState *vfio_host_start(VfioHost *host, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/**
 * vfio_host_refused: start QEMU with a -device option that must fail
 * @device: the option's value
 *
 * Returns: what QEMU wrote to stderr, to be freed
 */
char *vfio_host_refused(VfioHost *host, const char *device);

/* The value of @name in the stand-in's status; QEMU must have seen a device */
uint64_t vfio_host_status(VfioHost *host, const char *name);

/* Asserts that QEMU holds nothing of any device */
void vfio_host_assert_unused(VfioHost *host);

/* Triggers @vector of the device at @address as its hardware would */
void vfio_host_fire(VfioHost *host, const char *address, unsigned vector);

/* Lets an ioctl fail: NAME:ERRNO[:COUNT[:SKIP]] */
void vfio_host_fail(VfioHost *host, const char *what);

/* 32 bits in a BAR, as the device sees them */
uint32_t vfio_host_read(VfioHost *host, const char *address, unsigned bar,
                        uint64_t offset);
void vfio_host_write(VfioHost *host, const char *address, unsigned bar,
                     uint64_t offset, uint32_t value);

#endif /* NEARMETAL_QTEST_VFIO_HOST_H */
