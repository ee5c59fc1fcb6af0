/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes over stream sockets, with a deadline
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure POSIX: no QEMU headers.  Signals never end a wait, and a closed peer
 * never raises SIGPIPE.  The sockets may be blocking or not.  One thread at a
 * time for each socket: the worker's.
 */

#ifndef NEARMETAL_TPM_IO_H
#define NEARMETAL_TPM_IO_H

#include <stddef.h>
#include <stdint.h>

typedef enum TpmIoResult {
    TPM_IO_OK,
    TPM_IO_TIMEOUT,
    TPM_IO_EOF,         /* the peer closed, or reset, the connection */
    TPM_IO_ERROR,       /* errno tells */
} TpmIoResult;

/* A deadline that never passes */
#define TPM_IO_NEVER INT64_MAX

/* CLOCK_MONOTONIC in ms: what deadlines are given in */
int64_t tpm_io_now(void);

/* For poll(): ms until @deadline, rounded up; 0 when it passed, -1 for never */
int tpm_io_poll_timeout(int64_t deadline);

/**
 * tpm_io_send: send all of @buf
 * @pass_fd: goes with the first byte, -1 for none; it stays open here
 *
 * After anything but TPM_IO_OK an unknown part of @buf was sent.
 */
TpmIoResult tpm_io_send(int fd, const void *buf, size_t len, int pass_fd,
                        int64_t deadline);

/**
 * tpm_io_recv: receive exactly @len bytes
 * @got: bytes that arrived, whatever the result
 *
 * What has arrived is received even if @deadline passed already.
 */
TpmIoResult tpm_io_recv(int fd, void *buf, size_t len, size_t *got,
                        int64_t deadline);

/* Like tpm_io_recv(), but done with the first 1..@max bytes */
TpmIoResult tpm_io_recv_some(int fd, void *buf, size_t max, size_t *got,
                             int64_t deadline);

#endif
