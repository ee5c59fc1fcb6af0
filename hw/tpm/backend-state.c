/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each TPM backend keeps for management, and commands that QEMU answers
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "system/tpm_backend.h"
#include "system/tpm_util.h"
#include "backend-state.h"
#include "tpm-wire.h"

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

void tpm_backend_taken(TPMBackend *tb, const TPMBackendCmd *cmd)
{
    tpm_tally_begin(&tb->extra.tally, cmd->in_len, now_ns());
}

void tpm_backend_answered(TPMBackend *tb, int ret)
{
    const TPMBackendCmd *cmd = tb->cmd;

    tpm_tally_end(&tb->extra.tally, MIN(tpm_cmd_get_size(cmd->out),
                                        cmd->out_len),
                  ret || cmd->failed, now_ns());
}

void tpm_backend_abandon(TPMBackend *tb)
{
    if (tb->cmd) {
        tb->cmd = NULL;
        tpm_tally_abandon(&tb->extra.tally);
        object_unref(OBJECT(tb));
    }
}

static TpmWireVersion wire_version(TPMBackend *tb)
{
    return tpm_backend_get_tpm_version(tb) == TPM_VERSION_1_2 ? TPM_WIRE_1_2
                                                              : TPM_WIRE_2_0;
}

void tpm_backend_error_response(TPMBackend *tb, TPMBackendCmd *cmd,
                                uint32_t code)
{
    cmd->failed = true;
    tpm_wire_error(cmd->out, cmd->out_len, wire_version(tb), code);
}

void tpm_backend_write_failure(TPMBackend *tb, uint8_t *out, uint32_t out_len)
{
    TpmWireVersion v = wire_version(tb);

    tpm_wire_error(out, out_len, v, tpm_wire_code(v, TPM_FAULT_FAILED));
}

void tpm_backend_leave(TPMBackend *tb)
{
    TPMBackendClass *k = TPM_BACKEND_GET_CLASS(tb);

    if (k->submit && tb->cmd) {
        k->reset(tb);
    }
    if (k->in_wait && k->in_wait(tb)) {
        object_ref(OBJECT(tb));
    }
}

uint32_t tpm_check_command(TPMBackend *tb, const uint8_t *buf, size_t received,
                           size_t limit, uint32_t *len)
{
    size_t size = 0;
    uint32_t code = tpm_wire_check_command(buf, received, limit,
                                           wire_version(tb), &size);

    *len = code ? 0 : size;
    return code;
}

void tpm_backend_finish_reject(TPMBackend *tb)
{
    if (tb->cmd && tb->cmd->reject) {
        tpm_backend_error_response(tb, tb->cmd, tb->cmd->reject);
        tpm_backend_request_completed(tb, 0);
    }
}

void tpm_backend_established_changed(TPMBackend *tb)
{
    if (tb->extra.established_changed && tb->tpmif) {
        tb->extra.established_changed(tb->tpmif);
    }
}

/* A reset may have ended that command, and another one be there */
static void backend_reject_bh(void *opaque)
{
    tpm_backend_finish_reject(opaque);
    object_unref(opaque);
}

void tpm_backend_reject(TPMBackend *tb)
{
    object_ref(tb);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), backend_reject_bh, tb);
}

TPMBackend *tpm_backend_in_use(void)
{
    TPMIf *tpm = tpm_find();
    g_autofree char *id = tpm ? object_property_get_str(OBJECT(tpm), "tpmdev",
                                                        NULL)
                              : NULL;

    return qemu_find_tpm_be(id);
}

void tpm_backend_set_error(TPMBackend *tb, const char *reason)
{
    g_free(tb->extra.last_error);
    tb->extra.last_error = g_strdup(reason);
}
