/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "iothread-tuning/bench/send-fd.h"
#include "vu-message.h"

bool vu_send(int sock, VhostUserMsg *msg, int fd)
{
    msg->flags = VU_MESSAGE_VERSION;
    return send_with_fd(sock, msg, VHOST_USER_HDR_SIZE + msg->size, fd);
}

bool vu_send_u64(int sock, int request, uint64_t value, int fd)
{
    VhostUserMsg msg = {
        .request = request, .size = sizeof(uint64_t), .payload.u64 = value,
    };

    return vu_send(sock, &msg, fd);
}

bool vu_send_state(int sock, int request, unsigned num)
{
    VhostUserMsg msg = {
        .request = request, .size = sizeof(msg.payload.state),
        .payload.state.num = num,
    };

    return vu_send(sock, &msg, -1);
}
