/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The made-up swtpm when it behaves: what swtpm 0.7.1 was seen to answer
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifdef NATIVE_UNIT_TEST
#include <string.h>
#else
#include "qemu/osdep.h"
#endif
#include "tpm-fake-script.h"
#include "tpm-fake-tpm.h"

#define BAD_PARAMETER   0x03
#define BAD_LOCALITY    0x3d
#define BUFFER_MIN      128
#define RC_INITIALIZE   0x100   /* started already */
#define BLOB_HDR        12      /* of SET_STATEBLOB: flags, type, size */

/* Codes of commands that are answered with more than success, or not twice */
#define CC_STARTUP          0x144
#define CC_GET_CAPABILITY   0x17a
#define CC_PCR_READ         0x17e
#define CC_READ_CLOCK       0x181

static void put(GByteArray *a, uint32_t value)
{
    uint8_t be[4];

    tpm_wire_put32(be, value);
    g_byte_array_append(a, be, sizeof(be));
}

void fake_tpm_init(FakeTpm *t)
{
    for (int i = 1; i < 3; i++) {
        t->blobs[i] = g_byte_array_new();
        put(t->blobs[i], 0x0201000a);
        put(t->blobs[i], 0x00040000 + i);
    }
    t->blobs[0] = g_byte_array_new();
    t->blobs[3] = g_byte_array_new();
}

void fake_tpm_free(FakeTpm *t)
{
    for (int i = 0; i < 4; i++) {
        g_byte_array_unref(t->blobs[i]);
    }
}

static void get_blob(FakeTpm *t, uint32_t type, GByteArray *a)
{
    GByteArray *blob = t->blobs[type > 3 ? 0 : type];

    /* Success, flags, whole size, size of what follows */
    put(a, blob->len ? 0 : TPM_CTL_RES_NON_FATAL);
    put(a, 0);
    put(a, blob->len);
    put(a, blob->len);
    g_byte_array_append(a, blob->data, blob->len);
}

static uint32_t set_blob(FakeTpm *t, const uint8_t *body, size_t len)
{
    uint32_t type = tpm_wire_get32(body + 4);

    if (!type || type > 3) {
        return BAD_PARAMETER;
    }
    g_byte_array_set_size(t->blobs[type], 0);
    g_byte_array_append(t->blobs[type], body + BLOB_HDR, len - BLOB_HDR);
    return 0;
}

static void set_buffer(FakeTpm *t, uint32_t size, GByteArray *a)
{
    uint32_t max = t->buffer;

    put(a, 0);
    put(a, !size || size > max ? max : MAX(size, MIN(BUFFER_MIN, max)));
    put(a, BUFFER_MIN);
    put(a, max);
}

static bool needs_running(uint32_t cmd)
{
    switch (cmd) {
    case TPM_CTL_GET_ESTABLISHED:
    case TPM_CTL_RESET_ESTABLISHED:
    case TPM_CTL_GET_STATEBLOB:
    case TPM_CTL_CANCEL:
    case TPM_CTL_STORE_VOLATILE:
        return true;
    default:
        return false;
    }
}

static uint32_t plain_result(FakeTpm *t, uint32_t cmd, const uint8_t *body,
                             size_t len)
{
    switch (cmd) {
    case TPM_CTL_INIT:
        t->running = true;
        t->started = false;
        return 0;
    case TPM_CTL_STOP:
    case TPM_CTL_SHUTDOWN:
        t->running = false;
        return 0;
    case TPM_CTL_SET_LOCALITY:
        return body[0] > 4 ? BAD_LOCALITY : 0;
    case TPM_CTL_RESET_ESTABLISHED:
        if (body[0] != 3 && body[0] != 4) {
            return BAD_LOCALITY;
        }
        t->established = false;
        return 0;
    case TPM_CTL_SET_STATEBLOB:
        return t->running ? TPM_CTL_RES_BAD_ORDINAL : set_blob(t, body, len);
    case TPM_CTL_CANCEL:
    case TPM_CTL_STORE_VOLATILE:
    case TPM_CTL_LOCK_STORAGE:
        return 0;
    default:
        return TPM_CTL_RES_BAD_ORDINAL;
    }
}

GByteArray *fake_tpm_ctrl(FakeTpm *t, uint32_t cmd, const uint8_t *body,
                          size_t len)
{
    GByteArray *a = g_byte_array_new();

    if (needs_running(cmd) && !t->running) {
        put(a, TPM_CTL_RES_BAD_ORDINAL);
        return a;
    }
    switch (cmd) {
    case TPM_CTL_GET_CAPABILITY:
        put(a, 0);
        put(a, t->caps);
        break;
    case TPM_CTL_GET_ESTABLISHED:
        put(a, 0);
        put(a, (uint32_t)t->established << 24);
        break;
    case TPM_CTL_GET_STATEBLOB:
        get_blob(t, tpm_wire_get32(body + 4), a);
        break;
    case TPM_CTL_SET_BUFFERSIZE:
        if (t->running && tpm_wire_get32(body)) {
            put(a, TPM_CTL_RES_BAD_ORDINAL);
        } else {
            set_buffer(t, tpm_wire_get32(body), a);
        }
        break;
    default:
        put(a, plain_result(t, cmd, body, len));
    }
    return a;
}

static GByteArray *response(bool old, uint32_t code, const void *p, size_t len)
{
    uint8_t hdr[TPM_WIRE_HDR];
    GByteArray *a = g_byte_array_new();

    tpm_wire_error(hdr, sizeof(hdr), old ? TPM_WIRE_1_2 : TPM_WIRE_2_0, code);
    tpm_wire_put32(hdr + 2, sizeof(hdr) + len);
    g_byte_array_append(a, hdr, sizeof(hdr));
    return len ? g_byte_array_append(a, p, len) : a;
}

/* The code of the error, 0 for none */
static uint32_t refused(FakeTpm *t, uint16_t tag)
{
    if (t->old) {
        /* TPM_FAIL, and as swtpm has it for a strange tag, BAD_ORDINAL */
        return !t->running ? 0x09 : tag == TPM_WIRE_TAG_1_2 ? 0 : 0x0a;
    }
    if (!t->running) {
        return tpm_wire_code(TPM_WIRE_2_0, TPM_FAULT_FAILED);
    }
    /* TPM_RC_VALUE, as swtpm has it */
    return tag == TPM_WIRE_TAG_2_0 || tag == 0x8002 ? 0 : 0x84;
}

GByteArray *fake_tpm_data(FakeTpm *t, const uint8_t *cmd)
{
    /* Counter 20, one selection: PCR 0 of sha256, one digest of 32 bytes */
    static const uint8_t pcr[52] = {
        0, 0, 0, 20, 0, 0, 0, 1, 0, 11, 3, 1, 0, 0, 0, 0, 0, 1, 0, 32
    };
    /* There is more; properties, one: the family is "2.0" */
    static const uint8_t capability[17] = {
        1, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 1, 0, '2', '.', '0', 0
    };
    static const uint8_t clock[25];
    uint32_t error = refused(t, tpm_wire_get16(cmd));

    if (error || t->old) {
        return response(t->old, error, NULL, 0);
    }
    switch (tpm_wire_get32(cmd + 6)) {
    case CC_STARTUP:
        error = t->started ? RC_INITIALIZE : 0;
        t->started = true;
        return response(false, error, NULL, 0);
    case CC_GET_CAPABILITY:
        return response(false, 0, capability, sizeof(capability));
    case CC_PCR_READ:
        return response(false, 0, pcr, sizeof(pcr));
    case CC_READ_CLOCK:
        return response(false, 0, clock, sizeof(clock));
    default:
        return response(false, 0, NULL, 0);
    }
}
