/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Failures of the stand-in for VFIO, on demand
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include "vfio-standin.h"

#define IOCTL(name) { name, #name, 0, 0, 0 }

static struct {
    unsigned long request;
    const char *name;
    int error;
    unsigned long count;        /* times that it is still to fail */
    unsigned long skip;         /* times that it is to work before */
} ioctls[] = {
    IOCTL(VFIO_GET_API_VERSION),
    IOCTL(VFIO_CHECK_EXTENSION),
    IOCTL(VFIO_SET_IOMMU),
    IOCTL(VFIO_IOMMU_GET_INFO),
    IOCTL(VFIO_IOMMU_MAP_DMA),
    IOCTL(VFIO_IOMMU_UNMAP_DMA),
    IOCTL(VFIO_GROUP_GET_STATUS),
    IOCTL(VFIO_GROUP_SET_CONTAINER),
    IOCTL(VFIO_GROUP_UNSET_CONTAINER),
    IOCTL(VFIO_GROUP_GET_DEVICE_FD),
    IOCTL(VFIO_DEVICE_GET_INFO),
    IOCTL(VFIO_DEVICE_GET_REGION_INFO),
    IOCTL(VFIO_DEVICE_GET_IRQ_INFO),
    IOCTL(VFIO_DEVICE_SET_IRQS),
    IOCTL(VFIO_DEVICE_RESET),
};

#define IOCTLS (sizeof(ioctls) / sizeof(ioctls[0]))

static const struct {
    const char *name;
    int number;
} errors[] = {
    { "EPERM", EPERM },
    { "EIO", EIO },
    { "ENOMEM", ENOMEM },
    { "EACCES", EACCES },
    { "EBUSY", EBUSY },
    { "EEXIST", EEXIST },
    { "ENODEV", ENODEV },
    { "EINVAL", EINVAL },
    { "ENOTTY", ENOTTY },
    { "ENOSPC", ENOSPC },
};

/* Returns: 0 if it is not known */
static int error_number(const char *name)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (!strcmp(errors[i].name, name)) {
            return errors[i].number;
        }
    }
    return 0;
}

bool standin_fail_add(const char *text)
{
    char name[64], error[32];
    unsigned long count = 1, skip = 0;

    if (sscanf(text, "%63[A-Z0-9_]:%31[A-Z0-9]:%lu:%lu", name, error, &count,
               &skip) < 2 || !error_number(error)) {
        return false;
    }
    for (size_t i = 0; i < IOCTLS; i++) {
        if (!strcmp(ioctls[i].name, name)) {
            ioctls[i].error = error_number(error);
            ioctls[i].count = count;
            ioctls[i].skip = skip;
            return true;
        }
    }
    return false;
}

bool standin_fail(unsigned long request)
{
    for (size_t i = 0; i < IOCTLS; i++) {
        if (ioctls[i].request != request || !ioctls[i].count) {
            continue;
        }
        if (ioctls[i].skip) {
            ioctls[i].skip--;
            return false;
        }
        ioctls[i].count--;
        errno = ioctls[i].error;
        return true;
    }
    return false;
}
