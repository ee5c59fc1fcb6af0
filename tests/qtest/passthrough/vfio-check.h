/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#ifndef NEARMETAL_QTEST_VFIO_CHECK_H
#define NEARMETAL_QTEST_VFIO_CHECK_H

#include "vfio-device.h"
#include "vfio-host.h"

/**
 * vfio_check_vectors: enable MSI-X, and let vectors fire
 * @address: of the device on the host
 *
 * Asserts of the first, a middle and the last vector that its message arrives,
 * and that one that is masked is pending until it is unmasked.
 */
void vfio_check_vectors(VfioHost *host, const char *address, VfioDevice *dev);

#endif /* NEARMETAL_QTEST_VFIO_CHECK_H */
