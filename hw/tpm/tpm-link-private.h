/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the files of TpmLink
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * In the thread that owns the link, without a lock.  Calls go one way: commands
 * and blobs to tpm-link-data.c, all to tpm-link.c.
 */

#ifndef NEARMETAL_TPM_LINK_PRIVATE_H
#define NEARMETAL_TPM_LINK_PRIVATE_H

#include "tpm-link.h"

/* tpm-link.c */

/* Set the reason; always false */
bool tpm_link_fail(TpmLink *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Nobody knows what comes next: only a new connection helps */
bool tpm_link_break(TpmLink *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Is there nothing to read where nothing is expected? */
bool tpm_link_quiet(TpmLink *l);

/* Send a control message in one piece, without waiting for its answer */
bool tpm_link_ask(TpmLink *l, uint32_t cmd, const uint8_t *body, int pass_fd,
                  int64_t deadline);

/* Take what arrives of its answer until that is whole, but for a blob's body */
TpmIoResult tpm_link_answer(TpmLink *l, int64_t deadline);

/* Both; false unless the result is 0, TpmLink.result tells */
bool tpm_link_exchange(TpmLink *l, uint32_t cmd, const uint8_t *body,
                       int pass_fd, int64_t deadline);

/* Wait for the answer to what was asked at @since */
bool tpm_link_await(TpmLink *l, int64_t since, int64_t deadline);

/* Take @len bytes of the blob that follows an answer */
TpmIoResult tpm_link_body(TpmLink *l, uint8_t *p, size_t len,
                          int64_t deadline);

/* Throw away what is left of it, so that the link is in step */
TpmIoResult tpm_link_skip_body(TpmLink *l, int64_t deadline);

/* tpm-link-data.c */

/* Send a command, whose response is owed then */
TpmIoResult tpm_link_send(TpmLink *l, const uint8_t *cmd, size_t len,
                          int64_t deadline);

/* Take what arrives of a response; @out NULL to throw it away */
TpmIoResult tpm_link_response(TpmLink *l, uint8_t *out, size_t out_max,
                              int64_t deadline);

/*
 * Wait for bytes on the channels that are asked for, for a request or for the
 * deadline.  Returns: what poll() says of the control channel
 */
short tpm_link_wait(TpmLink *l, bool ctrl, bool data, const TpmLinkOps *ops,
                    int64_t deadline);

#endif
