/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * SCSI passthrough is for disks as a whole
 */
#ifndef NEARMETAL_WHOLE_DISK_H
#define NEARMETAL_WHOLE_DISK_H

#include "system/block-backend.h"

/**
 * whole_disk_or_warn: warn if the backend is a partition or a logical volume
 * @driver: the device that passes SCSI commands through, for the message
 *
 * The kernel sends commands to the disk below, whose addresses, size and
 * identity the guest sees, or it refuses them.  Main thread only.
 */
void whole_disk_or_warn(BlockBackend *blk, const char *driver);

#endif /* NEARMETAL_WHOLE_DISK_H */
