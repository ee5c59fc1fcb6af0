/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to swtpm: opening it, and getting it into step again
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include <sys/socket.h>
#include <poll.h>
#include "tpm-link-private.h"

/* macOS has none: a program started at this very moment might get a copy */
#ifndef SOCK_CLOEXEC
#define SOCK_CLOEXEC 0
#endif

/* swtpm needs a moment to see that the old data channel was closed */
#define REOPEN_STEP_MS  20

TpmIoResult tpm_link_send(TpmLink *l, const uint8_t *cmd, size_t len,
                          int64_t deadline)
{
    TpmIoResult r = tpm_io_send(l->data, cmd, len, -1, deadline);

    if (r == TPM_IO_OK) {
        l->data_owed = true;
        l->rsp_pos = 0;
        l->rsp_size = TPM_WIRE_HDR;
    }
    return r;
}

TpmIoResult tpm_link_response(TpmLink *l, uint8_t *out, size_t out_max,
                              int64_t deadline)
{
    uint8_t skip[1024];

    while (l->rsp_pos < l->rsp_size) {
        size_t max = l->rsp_size - l->rsp_pos, got;
        bool hdr = l->rsp_pos < TPM_WIRE_HDR;
        bool fits = out && l->rsp_size <= out_max;
        uint8_t *to = hdr ? l->rsp_hdr + l->rsp_pos
                          : fits ? out + l->rsp_pos : skip;
        TpmIoResult r;

        if (!hdr && !fits) {
            max = MIN(max, sizeof(skip));
        }
        r = tpm_io_recv_some(l->data, to, max, &got, deadline);
        if (r != TPM_IO_OK) {
            return r;
        }
        l->rsp_pos += got;
        if (hdr && l->rsp_pos == TPM_WIRE_HDR) {
            l->rsp_size = tpm_wire_response_size(l->rsp_hdr);
            if (!l->rsp_size) {
                errno = EBADMSG;
                return TPM_IO_ERROR;
            }
            if (out && l->rsp_size <= out_max) {
                memcpy(out, l->rsp_hdr, TPM_WIRE_HDR);
            }
        }
    }
    l->data_owed = false;
    return TPM_IO_OK;
}

/* One attempt; false with TPM_CTL_RES_IOERROR: the TPM has one already */
static bool link_open_data(TpmLink *l, int64_t deadline)
{
    int fds[2];
    bool ok;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        return tpm_link_fail(l, "no socket for the data channel: %s",
                             strerror(errno));
    }
    ok = tpm_link_exchange(l, TPM_CTL_SET_DATAFD, NULL, fds[1], deadline);
    close(fds[1]);
    if (!ok) {
        close(fds[0]);
        return false;
    }
    l->data = fds[0];
    l->data_owed = false;
    return true;
}

bool tpm_link_reopen_data(TpmLink *l, int64_t deadline)
{
    if (l->data >= 0) {
        close(l->data);
        l->data = -1;
    }
    l->data_owed = false;
    while (!link_open_data(l, deadline)) {
        if (l->result != TPM_CTL_RES_IOERROR ||
            tpm_io_now() + REOPEN_STEP_MS >= deadline) {
            return false;
        }
        poll(NULL, 0, REOPEN_STEP_MS);
    }
    return true;
}

bool tpm_link_owes(const TpmLink *l)
{
    return l->ctrl_owed || l->data_owed;
}

static bool link_collect_ctrl(TpmLink *l)
{
    TpmIoResult r = tpm_link_answer(l, 0);

    if (r == TPM_IO_OK) {
        r = tpm_link_skip_body(l, 0);
    }
    if (r == TPM_IO_OK || r == TPM_IO_TIMEOUT) {
        return true;
    }
    return l->down ? false :
        tpm_link_break(l, "the control channel was closed instead of an "
                       "answer to CMD_%s", tpm_wire_ctl_name(l->ctrl_cmd));
}

static bool link_collect_data(TpmLink *l)
{
    switch (tpm_link_response(l, NULL, 0, 0)) {
    case TPM_IO_OK:
    case TPM_IO_TIMEOUT:
        return true;
    case TPM_IO_EOF:
        return tpm_link_break(l, "the data channel was closed");
    default:
        return tpm_link_break(l, "the data channel: %s", strerror(errno));
    }
}

bool tpm_link_collect(TpmLink *l)
{
    return !l->down && (!l->ctrl_owed || link_collect_ctrl(l)) &&
           (!l->data_owed || link_collect_data(l));
}

short tpm_link_wait(TpmLink *l, bool ctrl, bool data, const TpmLinkOps *ops,
                    int64_t deadline)
{
    struct pollfd p[] = {
        { .fd = ctrl ? l->ctrl : -1, .events = POLLIN },
        { .fd = data ? l->data : -1, .events = POLLIN },
        { .fd = ops ? ops->wake_fd : -1, .events = POLLIN },
    };
    uint64_t count;

    if (poll(p, 3, tpm_io_poll_timeout(deadline)) <= 0) {
        return 0;
    }
    if ((p[2].revents & POLLIN) &&
        read(p[2].fd, &count, sizeof(count)) < 0) {
        /* Requests are asked for next in any case */
    }
    return p[0].revents;
}

static bool link_await_owed(TpmLink *l, const TpmLinkOps *ops, int64_t deadline)
{
    int64_t since = tpm_io_now();

    while (tpm_link_collect(l) && tpm_link_owes(l)) {
        if (ops && ops->poll_requests(ops->opaque)) {
            return tpm_link_fail(l, "cancelled while an earlier answer is "
                                 "missing");
        }
        if (tpm_io_now() >= deadline) {
            return l->ctrl_owed ?
                tpm_link_fail(l, "no answer to CMD_%s within %" PRId64 " ms",
                              tpm_wire_ctl_name(l->ctrl_cmd),
                              tpm_io_now() - since) :
                tpm_link_fail(l, "the response to an earlier command is still "
                              "missing");
        }
        tpm_link_wait(l, l->ctrl_owed, l->data_owed, ops, deadline);
    }
    return !l->down;
}

bool tpm_link_resync(TpmLink *l, const TpmLinkOps *ops, int64_t deadline)
{
    return !l->down && link_await_owed(l, ops, deadline) &&
           (l->data >= 0 || tpm_link_reopen_data(l, deadline)) &&
           tpm_link_quiet(l);
}

/* What a command without effect is answered with tells the version */
static bool link_probe_tag(TpmLink *l, uint16_t tag, uint32_t code,
                           uint16_t *reply, int64_t deadline)
{
    uint8_t cmd[TPM_WIRE_HDR];
    TpmIoResult r;

    tpm_wire_put16(cmd, tag);
    tpm_wire_put32(cmd + 2, sizeof(cmd));
    tpm_wire_put32(cmd + 6, code);
    r = tpm_link_send(l, cmd, sizeof(cmd), deadline);
    if (r == TPM_IO_OK) {
        r = tpm_link_response(l, NULL, 0, deadline);
    }
    if (r == TPM_IO_TIMEOUT) {
        return tpm_link_fail(l, "no response to the command that asks for the "
                             "TPM's version");
    }
    if (r != TPM_IO_OK) {
        return tpm_link_break(l, "no usable response to the command that asks "
                              "for the TPM's version");
    }
    *reply = tpm_wire_get16(l->rsp_hdr);
    return true;
}

static bool link_probe_version(TpmLink *l, int64_t deadline)
{
    uint16_t reply;

    /* TPM2_CC_ReadClock: a TPM 1.2 answers it with the tag of its own */
    if (!link_probe_tag(l, TPM_WIRE_TAG_2_0, 0x181, &reply, deadline)) {
        return false;
    }
    if (reply == TPM_WIRE_TAG_2_0) {
        l->version = TPM_WIRE_2_0;
        return true;
    }
    /* TPM_ORD_GetTicks */
    if (!link_probe_tag(l, TPM_WIRE_TAG_1_2, 0xf1, &reply, deadline)) {
        return false;
    }
    if (reply == TPM_WIRE_RSP_1_2) {
        l->version = TPM_WIRE_1_2;
        return true;
    }
    return tpm_link_break(l, "responses are neither of TPM 1.2 nor of 2.0");
}

static bool link_probe_caps(TpmLink *l, int64_t deadline)
{
    uint32_t need = TPM_CTL_CAP_INIT | TPM_CTL_CAP_SHUTDOWN |
                    TPM_CTL_CAP_GET_ESTABLISHED | TPM_CTL_CAP_SET_LOCALITY |
                    TPM_CTL_CAP_SET_DATAFD | TPM_CTL_CAP_STOP |
                    TPM_CTL_CAP_SET_BUFFERSIZE;

    if (!tpm_link_exchange(l, TPM_CTL_GET_CAPABILITY, NULL, -1, deadline)) {
        return false;
    }
    l->caps = tpm_wire_get32(l->ctrl_buf + 4);
    if (l->version == TPM_WIRE_2_0) {
        need |= TPM_CTL_CAP_RESET_ESTABLISHED;
    }
    if ((l->caps & need) != need) {
        return tpm_link_fail(l, "TPM does not implement minimum set of "
                             "required capabilities for TPM %s (0x%x)",
                             l->version == TPM_WIRE_2_0 ? "2" : "1.2", need);
    }
    return true;
}

bool tpm_link_probe(TpmLink *l, int ctrl_fd, int64_t deadline)
{
    tpm_link_close(l);
    l->ctrl = ctrl_fd;
    l->down = false;
    l->reason[0] = '\0';
    return tpm_link_probe_again(l, deadline);
}

bool tpm_link_probe_again(TpmLink *l, int64_t deadline)
{
    l->probed = tpm_link_resync(l, NULL, deadline) &&
                link_probe_version(l, deadline) && link_probe_caps(l, deadline);
    return l->probed;
}
