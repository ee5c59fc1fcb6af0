/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The frontend of a vhost-user-blk export
 */
#ifndef NEARMETAL_BENCH_VHOST_USER_H
#define NEARMETAL_BENCH_VHOST_USER_H

#include "bench-child.h"
#include "bench-disk.h"
#include "bench-virtqueue.h"

/**
 * vhost_user_start: connect, hand over memory and queue, start the queue
 * @name: abstract Unix socket of the export; waits until it listens
 * @vq: initialised; its kick_fd is set
 */
void vhost_user_start(const char *name, const Child *child, Disk *disk,
                      VirtQueue *vq);

#endif /* NEARMETAL_BENCH_VHOST_USER_H */
