/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Is a block device of the host a disk, or a part of one?  GLib only, and
 * any thread: it has no state.
 */
#ifndef NEARMETAL_PART_OF_DISK_H
#define NEARMETAL_PART_OF_DISK_H

/**
 * part_of_disk: look a device up in sysfs
 * @sysfs: where that is, "/sys"
 *
 * Returns: "partition" or "logical volume"; NULL for disks, and for what sysfs
 * does not know.  A multipath device is a disk.
 */
const char *part_of_disk(const char *sysfs, unsigned major, unsigned minor);

#endif /* NEARMETAL_PART_OF_DISK_H */
