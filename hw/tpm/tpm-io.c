/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes over stream sockets, with a deadline
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include <sys/socket.h>
#include <poll.h>
#include "tpm-io.h"

/* macOS has none; QEMU ignores SIGPIPE */
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

int64_t tpm_io_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * (int64_t)1000 + ts.tv_nsec / 1000000;
}

int tpm_io_poll_timeout(int64_t deadline)
{
    int64_t left;

    if (deadline == TPM_IO_NEVER) {
        return -1;
    }
    left = deadline - tpm_io_now();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : left;
}

/* Wait until @fd can be used; an error of the socket counts as usable */
static TpmIoResult io_wait(int fd, short events, int64_t deadline)
{
    for (;;) {
        struct pollfd p = { .fd = fd, .events = events };
        int n = poll(&p, 1, tpm_io_poll_timeout(deadline));

        if (n > 0) {
            return TPM_IO_OK;
        }
        if (n < 0 && errno != EINTR) {
            return TPM_IO_ERROR;
        }
        if (deadline != TPM_IO_NEVER && tpm_io_now() >= deadline) {
            return TPM_IO_TIMEOUT;
        }
    }
}

/* After a failed call: TPM_IO_OK to try again */
static TpmIoResult io_failed(int fd, short events, int64_t deadline)
{
    switch (errno) {
    case EINTR:
        return TPM_IO_OK;
    case EAGAIN:
        return io_wait(fd, events, deadline);
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return TPM_IO_EOF;
    default:
        return TPM_IO_ERROR;
    }
}

static ssize_t io_sendmsg(int fd, const void *buf, size_t len, int pass_fd)
{
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct cmsghdr *c;

    if (pass_fd >= 0) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control.bytes);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
    }
    return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

TpmIoResult tpm_io_send(int fd, const void *buf, size_t len, int pass_fd,
                        int64_t deadline)
{
    const uint8_t *p = buf;

    while (len) {
        ssize_t n = io_sendmsg(fd, p, len, pass_fd);

        if (n < 0) {
            TpmIoResult r = io_failed(fd, POLLOUT, deadline);

            if (r != TPM_IO_OK) {
                return r;
            }
            continue;
        }
        pass_fd = -1;
        p += n;
        len -= n;
    }
    return TPM_IO_OK;
}

TpmIoResult tpm_io_recv_some(int fd, void *buf, size_t max, size_t *got,
                             int64_t deadline)
{
    *got = 0;
    for (;;) {
        ssize_t n = recv(fd, buf, max, MSG_DONTWAIT);
        TpmIoResult r;

        if (n > 0) {
            *got = n;
            return TPM_IO_OK;
        }
        if (n == 0) {
            return max ? TPM_IO_EOF : TPM_IO_OK;
        }
        r = io_failed(fd, POLLIN, deadline);
        if (r != TPM_IO_OK) {
            return r;
        }
    }
}

TpmIoResult tpm_io_recv(int fd, void *buf, size_t len, size_t *got,
                        int64_t deadline)
{
    TpmIoResult r = TPM_IO_OK;
    size_t n;

    for (*got = 0; r == TPM_IO_OK && *got < len; *got += n) {
        r = tpm_io_recv_some(fd, (uint8_t *)buf + *got, len - *got, &n,
                             deadline);
    }
    return r;
}
