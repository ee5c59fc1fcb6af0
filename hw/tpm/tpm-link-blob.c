/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to swtpm: the TPM's state
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "tpm-link-private.h"

/* PTM_STATE_FLAG_DECRYPTED: not encrypted with a key of swtpm's own */
#define FLAG_DECRYPTED  1

bool tpm_link_get_blob(TpmLink *l, uint32_t type, uint32_t *flags,
                       uint8_t **p, uint32_t *n, size_t max,
                       int64_t deadline)
{
    uint8_t body[12] = { 0 };
    uint32_t total, size;
    g_autofree uint8_t *blob = NULL;

    tpm_wire_put32(body, FLAG_DECRYPTED);
    tpm_wire_put32(body + 4, type);
    if (!tpm_link_exchange(l, TPM_CTL_GET_STATEBLOB, body, -1, deadline) &&
        (!l->result || !(l->result & TPM_CTL_RES_NON_FATAL))) {
        return !l->result ? false :
            tpm_link_fail(l, "Getting the stateblob (type %u) failed with a "
                          "TPM error 0x%x %s", type, l->result,
                          tpm_wire_result_name(l->result));
    }
    total = tpm_wire_get32(l->ctrl_buf + 8);
    size = tpm_wire_get32(l->ctrl_buf + 12);
    if (total != size) {
        return tpm_link_break(l, "state %u has %u bytes of %u", type, size,
                              total);
    }
    if (size > max) {
        /* If it can be thrown away, the TPM itself is fine */
        tpm_link_skip_body(l, deadline);
        return tpm_link_fail(l, "state %u has %u bytes, at most %zu are "
                             "accepted", type, size, max);
    }
    blob = size ? g_malloc(size) : NULL;
    if (size && tpm_link_body(l, blob, size, deadline) != TPM_IO_OK) {
        return tpm_link_fail(l, "state %u did not come to its end", type);
    }
    *flags = tpm_wire_get32(l->ctrl_buf + 4);
    *n = size;
    *p = g_steal_pointer(&blob);
    return true;
}

bool tpm_link_set_blob(TpmLink *l, uint32_t type, uint32_t flags,
                       const uint8_t *p, uint32_t n, int64_t deadline)
{
    int64_t since = tpm_io_now();
    uint8_t body[12];

    if (!n) {
        return true;
    }
    tpm_wire_put32(body, flags);
    tpm_wire_put32(body + 4, type);
    tpm_wire_put32(body + 8, n);
    if (!tpm_link_ask(l, TPM_CTL_SET_STATEBLOB, body, -1, deadline)) {
        return false;
    }
    if (tpm_io_send(l->ctrl, p, n, -1, deadline) != TPM_IO_OK) {
        return tpm_link_break(l, "state %u could not be sent", type);
    }
    if (!tpm_link_await(l, since, deadline)) {
        return false;
    }
    return !l->result || tpm_link_fail(l, "Setting the stateblob (type %u) "
                                       "failed with a TPM error 0x%x %s", type,
                                       l->result,
                                       tpm_wire_result_name(l->result));
}
