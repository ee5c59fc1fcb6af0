/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A message that takes a file descriptor along
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "send-fd.h"

bool send_with_fd(int sock, const void *data, size_t len, int fd)
{
    char control[CMSG_SPACE(sizeof(fd))] = { 0 };
    struct iovec iov = { (void *)data, len };
    struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd >= 0) {
        struct cmsghdr *cmsg;

        hdr.msg_control = control;
        hdr.msg_controllen = sizeof(control);
        cmsg = CMSG_FIRSTHDR(&hdr);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
    }
    return sendmsg(sock, &hdr, 0) == (ssize_t)len;
}
