/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to swtpm: commands, and giving them up
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * swtpm carries out a command and serves its control channel in one thread: a
 * cancel may be answered only after the response.  So a command has no
 * deadline, generating a key takes as long as it takes; only the silence that
 * follows a cancel tells a TPM that is busy from one that is lost.
 */
#include "qemu/osdep.h"
#include "tpm-link-private.h"

typedef struct Command {
    TpmLink *l;
    const TpmLinkOps *ops;
    uint8_t *out;
    size_t out_max;
    bool cancelled;         /* the TPM was asked to */
    int64_t cancelled_at;
    /* When to give up, TPM_IO_NEVER for not yet */
    int64_t answer_until;   /* waiting for the answer to the cancel */
    int64_t drain_until;    /* for the response, after that answer */
    int64_t rest_until;     /* for the rest of a response */
} Command;

/* Ask for it, or at least for a sign of life */
static bool command_cancel(Command *c)
{
    TpmLink *l = c->l;
    uint32_t cmd = l->caps & TPM_CTL_CAP_CANCEL ? TPM_CTL_CANCEL
                                                : TPM_CTL_GET_CAPABILITY;

    c->cancelled = true;
    c->cancelled_at = tpm_io_now();
    /* The response may be there already: tpm_link_quiet() leaves it alone */
    return tpm_link_ask(l, cmd, NULL, -1, c->cancelled_at + l->ctl_ms);
}

static bool command_requests(Command *c)
{
    unsigned req = c->ops ? c->ops->poll_requests(c->ops->opaque) : 0;

    if (req && !c->cancelled && !command_cancel(c)) {
        return false;
    }
    if ((req & ~TPM_REQ_HURRY) && c->l->ctrl_owed &&
        c->answer_until == TPM_IO_NEVER) {
        c->answer_until = tpm_io_now() + c->l->ctl_ms;
    }
    if ((req & TPM_REQ_DRAIN) && c->cancelled && !c->l->ctrl_owed &&
        c->drain_until == TPM_IO_NEVER) {
        c->drain_until = tpm_io_now() + c->l->ctl_ms;
    }
    return true;
}

/* TPM_IO_TIMEOUT: there is more to come */
static TpmIoResult command_data(Command *c)
{
    TpmLink *l = c->l;
    TpmIoResult r = tpm_link_response(l, c->out, c->out_max, 0);

    switch (r) {
    case TPM_IO_OK:
        break;
    case TPM_IO_TIMEOUT:
        if (l->rsp_pos && c->rest_until == TPM_IO_NEVER) {
            c->rest_until = tpm_io_now() + l->ctl_ms;
        }
        break;
    case TPM_IO_EOF:
        tpm_link_break(l, "the data channel was closed during a command");
        break;
    default:
        if (errno == EBADMSG) {
            tpm_link_break(l, "a response of %u bytes is not within %d..%d",
                           tpm_wire_get32(l->rsp_hdr + 2), TPM_WIRE_HDR,
                           TPM_WIRE_DRAIN_MAX);
        } else {
            tpm_link_break(l, "the data channel: %s", strerror(errno));
        }
    }
    return r;
}

static bool command_ctrl(Command *c, short revents)
{
    TpmLink *l = c->l;

    if (!revents) {
        return true;
    }
    if (!l->ctrl_owed) {
        return tpm_link_idle_ok(l, revents, 0);
    }
    switch (tpm_link_answer(l, 0)) {
    case TPM_IO_OK:
        c->answer_until = TPM_IO_NEVER;
        return true;
    case TPM_IO_TIMEOUT:
        return true;
    default:
        return tpm_link_break(l, "the control channel was closed during a "
                              "command");
    }
}

/* Only after a look at what has arrived: the host may have been busy */
static bool command_late(Command *c)
{
    int64_t now = tpm_io_now();

    if (now >= c->answer_until) {
        tpm_link_fail(c->l, "no answer to CMD_%s within %" PRId64 " ms",
                      tpm_wire_ctl_name(c->l->ctrl_cmd),
                      now - c->cancelled_at);
    } else if (now >= c->rest_until) {
        tpm_link_fail(c->l, "only %zu bytes of a response within %" PRId64
                      " ms", c->l->rsp_pos, c->l->ctl_ms);
    } else {
        return false;
    }
    return true;
}

static TpmCmdResult command_result(Command *c, size_t *out_len)
{
    TpmLink *l = c->l;

    if (l->ctrl_owed && !tpm_link_await(l, c->cancelled_at,
                                        c->answer_until)) {
        return TPM_CMD_LOST;
    }
    if (l->rsp_size > c->out_max) {
        tpm_link_fail(l, "a response of %zu bytes does not fit into %zu",
                      l->rsp_size, c->out_max);
        return TPM_CMD_DROPPED;
    }
    *out_len = l->rsp_size;
    return TPM_CMD_DONE;
}

static TpmCmdResult command_loop(Command *c, size_t *out_len)
{
    for (;;) {
        bool ctrl_ok;
        short revents;

        if (!command_requests(c)) {
            return TPM_CMD_LOST;
        }
        revents = tpm_link_wait(c->l, true, true, c->ops,
                                MIN(c->answer_until,
                                    MIN(c->drain_until, c->rest_until)));
        /* The answer first: it may be followed by the end of the response */
        ctrl_ok = command_ctrl(c, revents);
        switch (command_data(c)) {
        case TPM_IO_OK:
            /* A response from a peer that left is one, too */
            return ctrl_ok || !c->l->ctrl_owed ? command_result(c, out_len)
                                               : TPM_CMD_LOST;
        case TPM_IO_TIMEOUT:
            break;
        default:
            return TPM_CMD_LOST;
        }
        if (!ctrl_ok || command_late(c)) {
            return TPM_CMD_LOST;
        }
        if (tpm_io_now() >= c->drain_until) {
            tpm_link_fail(c->l, "no response within %" PRId64 " ms after the "
                          "command was cancelled", c->l->ctl_ms);
            return TPM_CMD_STUCK;
        }
    }
}

/* The command is not sent yet: who does not want it any more need not wait */
static TpmCmdResult command_locality(TpmLink *l, uint8_t locty,
                                     const TpmLinkOps *ops)
{
    uint8_t body[4] = { locty };

    if (l->locality == locty) {
        return TPM_CMD_DONE;
    }
    l->locality = TPM_LINK_NO_LOCALITY;
    if (!tpm_link_ask(l, TPM_CTL_SET_LOCALITY, body, -1,
                      tpm_io_now() + l->ctl_ms)) {
        return TPM_CMD_LOST;
    }
    if (!tpm_link_resync(l, ops, TPM_IO_NEVER)) {
        return l->down ? TPM_CMD_LOST : TPM_CMD_CANCELLED;
    }
    if (l->result) {
        tpm_link_fail(l, "TPM result for CMD_SET_LOCALITY: 0x%x %s",
                      l->result, tpm_wire_result_name(l->result));
        return TPM_CMD_DROPPED;
    }
    l->locality = locty;
    return TPM_CMD_DONE;
}

TpmCmdResult tpm_link_command(TpmLink *l, uint8_t locty,
                              const uint8_t *in, size_t in_len,
                              uint8_t *out, size_t out_max, size_t *out_len,
                              const TpmLinkOps *ops)
{
    Command c = {
        .l = l,
        .ops = ops,
        .out = out,
        .out_max = out_max,
        .answer_until = TPM_IO_NEVER,
        .drain_until = TPM_IO_NEVER,
        .rest_until = TPM_IO_NEVER,
    };
    TpmCmdResult ready;

    *out_len = 0;
    if (!tpm_link_resync(l, ops, TPM_IO_NEVER)) {
        return l->down ? TPM_CMD_LOST : TPM_CMD_CANCELLED;
    }
    ready = command_locality(l, locty, ops);
    if (ready != TPM_CMD_DONE) {
        return ready;
    }
    if (tpm_link_send(l, in, in_len, tpm_io_now() + l->ctl_ms) != TPM_IO_OK) {
        tpm_link_break(l, "a command could not be sent");
        return TPM_CMD_LOST;
    }
    return command_loop(&c, out_len);
}
