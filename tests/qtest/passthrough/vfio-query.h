/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#ifndef NEARMETAL_QTEST_VFIO_QUERY_H
#define NEARMETAL_QTEST_VFIO_QUERY_H

#include "qobject/qdict.h"
#include "vfio-device.h"

/* The entry of the device @id in query-vfio-msix; a reference */
QDict *vfio_query(QTestState *qts, const char *id);

/* The IDs of all entries in their order, joined by commas; to be freed */
char *vfio_query_ids(QTestState *qts);

/* The message of device_add's error, to be freed; NULL if it worked */
char *vfio_device_add(QTestState *qts, const char *json);

/* The entry of "trapped" with @offset of @bar, or NULL; not a reference */
QDict *vfio_query_trap(QDict *info, unsigned bar, uint64_t offset);

/* Asserts that the member @name of @info is @area */
void vfio_query_assert_area(QDict *info, const char *name, VfioArea area,
                            uint64_t size);

/**
 * vfio_query_assert_traps: compare "trapped" with QEMU's memory map
 *
 * Each page of each memory BAR up to 1 MiB must be mapped directly, or be in
 * "trapped".
 */
void vfio_query_assert_traps(VfioDevice *dev, QDict *info);

#endif /* NEARMETAL_QTEST_VFIO_QUERY_H */
