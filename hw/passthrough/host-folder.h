/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where sysfs has a device of the host
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic: GLib and POSIX only; for any thread.
 */

#ifndef NEARMETAL_VFIO_HOST_FOLDER_H
#define NEARMETAL_VFIO_HOST_FOLDER_H

#include <glib.h>

/**
 * host_folder_of_fd: the folder of the device that a descriptor is of
 * @sysfs: "/sys", or a folder in its place
 * @fd: of a character device that a device of the host has, such as
 *      /dev/vfio/devices/vfio0
 *
 * Returns: the folder, to be freed; NULL if sysfs tells none
 */
char *host_folder_of_fd(const char *sysfs, int fd);

/**
 * host_folder_slot: "0000:01:00" of a folder "…/0000:01:00.0"; to be freed
 *
 * Functions of one device have the same.  NULL: the name is no PCI address.
 */
char *host_folder_slot(const char *folder);

#endif
