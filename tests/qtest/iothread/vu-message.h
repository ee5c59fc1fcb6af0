/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What a vhost-user frontend sends, right or wrong
 *
 * @fd goes along unless it is negative.  All return false if the message could
 * not be sent.
 */
#ifndef NEARMETAL_QTEST_VU_MESSAGE_H
#define NEARMETAL_QTEST_VU_MESSAGE_H

#include "subprojects/libvhost-user/libvhost-user.h"

#define VU_MESSAGE_VERSION  1       /* of the protocol */

bool vu_send(int sock, VhostUserMsg *msg, int fd);
bool vu_send_u64(int sock, int request, uint64_t value, int fd);

/* Of queue 0 */
bool vu_send_state(int sock, int request, unsigned num);

#endif /* NEARMETAL_QTEST_VU_MESSAGE_H */
