/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to swtpm: the control channel
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include <sys/socket.h>
#include <poll.h>
#include "tpm-link-private.h"

/* The longest of tpm_wire_ctl_request() */
#define BODY_MAX        12

/* A blob's body that is read only to throw it away may have this size */
#define BLOB_SKIP_MAX   (16 * 1024 * 1024)

void tpm_link_init(TpmLink *l, int64_t ctl_ms)
{
    *l = (TpmLink) {
        .ctrl = -1,
        .data = -1,
        .ctl_ms = ctl_ms,
        .locality = TPM_LINK_NO_LOCALITY,
        .down = true,
        .reason = "not connected",
    };
}

static void link_close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

void tpm_link_close(TpmLink *l)
{
    link_close_fd(&l->ctrl);
    link_close_fd(&l->data);
    l->down = true;
    l->probed = false;
    l->ctrl_owed = 0;
    l->data_owed = false;
    l->locality = TPM_LINK_NO_LOCALITY;
}

bool tpm_link_in_step(const TpmLink *l)
{
    return !l->down && l->data >= 0 && !l->ctrl_owed && !l->data_owed;
}

bool tpm_link_fail(TpmLink *l, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(l->reason, sizeof(l->reason), fmt, ap);
    va_end(ap);
    return false;
}

bool tpm_link_break(TpmLink *l, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(l->reason, sizeof(l->reason), fmt, ap);
    va_end(ap);
    l->down = true;
    return false;
}

static bool link_channel_ok(TpmLink *l, int fd, short revents, const char *name)
{
    char byte;
    ssize_t n;

    if (!revents) {
        return true;
    }
    n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0) {
        return tpm_link_break(l, "unasked bytes on the %s channel", name);
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR) &&
        !(revents & (POLLHUP | POLLERR | POLLNVAL))) {
        return true;
    }
    return tpm_link_break(l, "the %s channel was closed", name);
}

bool tpm_link_idle_ok(TpmLink *l, short ctrl_revents, short data_revents)
{
    return (l->ctrl_owed ||
            link_channel_ok(l, l->ctrl, ctrl_revents, "control")) &&
           (l->data_owed ||
            link_channel_ok(l, l->data, data_revents, "data"));
}

bool tpm_link_quiet(TpmLink *l)
{
    struct pollfd p[] = {
        { .fd = l->ctrl, .events = POLLIN },
        { .fd = l->data, .events = POLLIN },
    };

    if (l->down || l->ctrl < 0) {
        l->down = true;
        return l->reason[0] ? false : tpm_link_fail(l, "not connected");
    }
    if (poll(p, 2, 0) <= 0) {
        return true;
    }
    return tpm_link_idle_ok(l, p[0].revents, p[1].revents);
}

bool tpm_link_ask(TpmLink *l, uint32_t cmd, const uint8_t *body, int pass_fd,
                  int64_t deadline)
{
    uint8_t msg[sizeof(uint32_t) + BODY_MAX];
    size_t len = tpm_wire_ctl_request(cmd);

    if (!tpm_link_quiet(l)) {
        return false;
    }
    if (l->ctrl_owed) {
        return tpm_link_fail(l, "no answer to CMD_%s yet",
                             tpm_wire_ctl_name(l->ctrl_cmd));
    }
    tpm_wire_put32(msg, cmd);
    if (len) {
        memcpy(msg + sizeof(uint32_t), body, len);
    }
    if (tpm_io_send(l->ctrl, msg, sizeof(uint32_t) + len, pass_fd,
                    deadline) != TPM_IO_OK) {
        return tpm_link_break(l, "CMD_%s could not be sent",
                              tpm_wire_ctl_name(cmd));
    }
    l->ctrl_cmd = cmd;
    l->ctrl_owed = tpm_wire_ctl_answer(cmd);
    l->ctrl_pos = 0;
    return true;
}

/*
 * Bytes before the blob, if any.  With an error there are 4, but a state's head
 * is always whole, unless the TPM does not run.
 */
static uint32_t link_answer_head(const TpmLink *l)
{
    uint32_t result;

    if (l->ctrl_pos < sizeof(result)) {
        return sizeof(result);
    }
    result = tpm_wire_get32(l->ctrl_buf);
    if (result && (l->ctrl_cmd != TPM_CTL_GET_STATEBLOB ||
                   result == TPM_CTL_RES_BAD_ORDINAL)) {
        return sizeof(result);
    }
    return tpm_wire_ctl_answer(l->ctrl_cmd);
}

/* Bytes of a blob's body that are not received yet */
static uint32_t link_body_left(const TpmLink *l)
{
    const uint32_t head = sizeof(l->ctrl_buf);
    uint32_t size;

    if (l->ctrl_cmd != TPM_CTL_GET_STATEBLOB || l->ctrl_pos < head) {
        return 0;
    }
    size = tpm_wire_get32(l->ctrl_buf + 12);
    return size - (l->ctrl_pos - head);
}

TpmIoResult tpm_link_answer(TpmLink *l, int64_t deadline)
{
    while (l->ctrl_pos < link_answer_head(l)) {
        size_t got;
        TpmIoResult r = tpm_io_recv(l->ctrl, l->ctrl_buf + l->ctrl_pos,
                                    link_answer_head(l) - l->ctrl_pos, &got,
                                    deadline);

        l->ctrl_pos += got;
        if (r != TPM_IO_OK) {
            return r;
        }
    }
    l->result = tpm_wire_get32(l->ctrl_buf);
    if (l->ctrl_cmd != TPM_CTL_GET_STATEBLOB || !link_body_left(l)) {
        l->ctrl_owed = 0;
    }
    return TPM_IO_OK;
}

TpmIoResult tpm_link_body(TpmLink *l, uint8_t *p, size_t len,
                          int64_t deadline)
{
    size_t got;
    TpmIoResult r = tpm_io_recv(l->ctrl, p, len, &got, deadline);

    l->ctrl_pos += got;
    if (!link_body_left(l)) {
        l->ctrl_owed = 0;
    }
    return r;
}

TpmIoResult tpm_link_skip_body(TpmLink *l, int64_t deadline)
{
    uint8_t skip[4096];
    TpmIoResult r = TPM_IO_OK;

    if (link_body_left(l) > BLOB_SKIP_MAX) {
        tpm_link_break(l, "a state of %u bytes is too large",
                       link_body_left(l));
        return TPM_IO_ERROR;
    }
    while (r == TPM_IO_OK && l->ctrl_owed) {
        r = tpm_link_body(l, skip, MIN(link_body_left(l), sizeof(skip)),
                          deadline);
    }
    return r;
}

bool tpm_link_await(TpmLink *l, int64_t since, int64_t deadline)
{
    const char *name = tpm_wire_ctl_name(l->ctrl_cmd);

    switch (tpm_link_answer(l, deadline)) {
    case TPM_IO_OK:
        return true;
    case TPM_IO_TIMEOUT:
        return tpm_link_fail(l, "no answer to CMD_%s within %" PRId64 " ms",
                             name, tpm_io_now() - since);
    case TPM_IO_EOF:
        return tpm_link_break(l, "the control channel was closed instead of "
                              "an answer to CMD_%s", name);
    default:
        return tpm_link_break(l, "answer to CMD_%s: %s", name,
                              strerror(errno));
    }
}

bool tpm_link_exchange(TpmLink *l, uint32_t cmd, const uint8_t *body,
                       int pass_fd, int64_t deadline)
{
    int64_t since = tpm_io_now();

    l->result = 0;
    if (!tpm_link_ask(l, cmd, body, pass_fd, deadline) ||
        !tpm_link_await(l, since, deadline)) {
        return false;
    }
    return !l->result || tpm_link_fail(l, "TPM result for CMD_%s: 0x%x %s",
                                       tpm_wire_ctl_name(cmd), l->result,
                                       tpm_wire_result_name(l->result));
}

static bool link_exchange32(TpmLink *l, uint32_t cmd, uint32_t value,
                            int64_t deadline)
{
    uint8_t body[4];

    tpm_wire_put32(body, value);
    return tpm_link_exchange(l, cmd, body, -1, deadline);
}

bool tpm_link_stop(TpmLink *l, int64_t deadline)
{
    return tpm_link_exchange(l, TPM_CTL_STOP, NULL, -1, deadline);
}

bool tpm_link_set_buffer_size(TpmLink *l, uint32_t *buf_size, int64_t deadline)
{
    uint32_t size;

    if (!link_exchange32(l, TPM_CTL_SET_BUFFERSIZE, *buf_size, deadline)) {
        return false;
    }
    size = tpm_wire_get32(l->ctrl_buf + 4);
    if (size < TPM_WIRE_HDR) {
        return tpm_link_fail(l, "the TPM's buffer of %u bytes is too small",
                             size);
    }
    if (!*buf_size || size < *buf_size) {
        *buf_size = size;
    }
    return true;
}

bool tpm_link_get_established(TpmLink *l, bool *est, int64_t deadline)
{
    bool ok = tpm_link_exchange(l, TPM_CTL_GET_ESTABLISHED, NULL, -1,
                                deadline);

    *est = ok && l->ctrl_buf[4];
    return ok || l->result;
}

bool tpm_link_run(TpmLink *l, uint32_t flags, bool *est, int64_t deadline)
{
    return link_exchange32(l, TPM_CTL_INIT, flags, deadline) &&
           tpm_link_get_established(l, est, deadline);
}

bool tpm_link_start(TpmLink *l, uint32_t *buf_size, bool init, uint32_t flags,
                    bool *est, int64_t deadline)
{
    uint32_t size = *buf_size;

    if (!tpm_link_in_step(l)) {
        return l->down ? false : tpm_link_fail(l, "answers are outstanding");
    }
    if (!tpm_link_stop(l, deadline) ||
        !tpm_link_set_buffer_size(l, &size, deadline) ||
        (init && !tpm_link_run(l, flags, est, deadline))) {
        return false;
    }
    l->locality = TPM_LINK_NO_LOCALITY;
    *buf_size = size;
    return true;
}

bool tpm_link_reset_established(TpmLink *l, uint8_t locty, int64_t deadline)
{
    uint8_t body[4] = { locty };

    return tpm_link_exchange(l, TPM_CTL_RESET_ESTABLISHED, body, -1, deadline);
}

bool tpm_link_lock_storage(TpmLink *l, uint32_t retries, int64_t deadline)
{
    return !(l->caps & TPM_CTL_CAP_LOCK_STORAGE) ||
           link_exchange32(l, TPM_CTL_LOCK_STORAGE, retries, deadline);
}

bool tpm_link_shutdown(TpmLink *l, int64_t deadline)
{
    /* Nobody reads the channels afterwards: what is owed does not matter */
    if (l->ctrl_owed && !l->down) {
        l->ctrl_owed = 0;
        tpm_link_ask(l, TPM_CTL_SHUTDOWN, NULL, -1, deadline);
        return tpm_link_break(l, "CMD_SHUTDOWN sent to a silent TPM");
    }
    return tpm_link_exchange(l, TPM_CTL_SHUTDOWN, NULL, -1, deadline);
}
