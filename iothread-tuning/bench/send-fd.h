/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A message that takes a file descriptor along
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifndef NEARMETAL_SEND_FD_H
#define NEARMETAL_SEND_FD_H

#include <stddef.h>
#include <stdbool.h>

/**
 * send_with_fd: send @len bytes, whole
 * @sock: a connected UNIX socket
 * @fd: goes along (SCM_RIGHTS), unless it is negative
 *
 * Returns: false, with errno set, if they could not be sent in one piece
 */
bool send_with_fd(int sock, const void *data, size_t len, int fd);

#endif
