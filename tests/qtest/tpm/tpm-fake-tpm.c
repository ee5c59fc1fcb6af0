/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The made-up swtpm when it behaves: its control messages are answered from
 * what swtpm was seen to answer, tpm-answers.c
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
    t->storage = TPM_AT_RUNNING;
}

void fake_tpm_free(FakeTpm *t)
{
    for (int i = 0; i < 4; i++) {
        g_byte_array_unref(t->blobs[i]);
    }
}

/* State of its own that an answer may tell, in place of what was recorded */
static void own_blob(FakeTpm *t, uint32_t type, GByteArray *a)
{
    GByteArray *blob = t->blobs[type > 3 ? 0 : type];

    /* Success, flags, whole size, size of what follows */
    g_byte_array_set_size(a, 0);
    put(a, blob->len ? 0 : TPM_CTL_RES_NON_FATAL);
    put(a, 0);
    put(a, blob->len);
    put(a, blob->len);
    g_byte_array_append(a, blob->data, blob->len);
}

static void set_blob(FakeTpm *t, const uint8_t *body, size_t len)
{
    uint32_t type = tpm_wire_get32(body + 4);

    if (type && type <= 3) {
        g_byte_array_set_size(t->blobs[type], 0);
        g_byte_array_append(t->blobs[type], body + BLOB_HDR, len - BLOB_HDR);
    }
}

static void own_buffer(FakeTpm *t, uint32_t size, GByteArray *a)
{
    uint32_t max = t->buffer, min;

    if (a->len < 16) {
        return;
    }
    min = MIN(tpm_wire_get32(a->data + 8), max);
    tpm_wire_put32(a->data + 4, !size || size > max ? max : MAX(size, min));
    tpm_wire_put32(a->data + 12, max);
}

static TpmAt at_now(const FakeTpm *t, uint32_t cmd)
{
    bool failing = t->storage == TPM_AT_LOCKED ||
                   t->storage == TPM_AT_SPOILED;

    if (failing || t->running || cmd == TPM_CTL_INIT) {
        return t->storage;
    }
    return t->stopped ? TPM_AT_STOPPED : TPM_AT_FRESH;
}

/* As it was recorded, without a star's bytes */
static GByteArray *recorded(FakeTpm *t, uint32_t cmd, const uint8_t *body,
                            size_t len)
{
    g_autofree char *arg = tpm_answer_hex(body, len);
    TpmAt at = at_now(t, cmd);
    const TpmAnswer *r = tpm_answer_find(t->newer, at, cmd, arg);
    GByteArray *a = g_byte_array_new();

    for (const char *p = r ? r->answer : "0000000a"; *p && *p != '*'; p += 2) {
        uint8_t byte = g_ascii_xdigit_value(p[0]) << 4 |
                       g_ascii_xdigit_value(p[1]);

        g_byte_array_append(a, &byte, 1);
    }
    return a;
}

static void carry_out(FakeTpm *t, uint32_t cmd, const uint8_t *body,
                      size_t len, GByteArray *a)
{
    switch (cmd) {
    case TPM_CTL_GET_CAPABILITY:
        put(a, t->caps);
        break;
    case TPM_CTL_INIT:
        t->running = true;
        t->started = false;
        break;
    case TPM_CTL_STOP:
    case TPM_CTL_SHUTDOWN:
        t->stopped |= t->running;
        t->running = false;
        break;
    case TPM_CTL_GET_ESTABLISHED:
        a->data[4] = t->established;
        break;
    case TPM_CTL_RESET_ESTABLISHED:
        t->established = false;
        break;
    case TPM_CTL_SET_BUFFERSIZE:
        own_buffer(t, tpm_wire_get32(body), a);
        break;
    case TPM_CTL_GET_STATEBLOB:
        own_blob(t, tpm_wire_get32(body + 4), a);
        break;
    }
}

/* Any but the recorded one; what libtpms finds wrong is not known here */
static bool takes_blob(const FakeTpm *t, uint32_t cmd, const uint8_t *body,
                       size_t len)
{
    return cmd == TPM_CTL_SET_STATEBLOB && !t->running &&
           tpm_wire_get32(body + 4) - 1 < 3 &&
           (len != BLOB_HDR + 4 || memcmp(body + BLOB_HDR, "abcd", 4));
}

GByteArray *fake_tpm_ctrl(FakeTpm *t, uint32_t cmd, const uint8_t *body,
                          size_t len)
{
    GByteArray *a = recorded(t, cmd, body, len);

    if (takes_blob(t, cmd, body, len)) {
        set_blob(t, body, len);
        tpm_wire_put32(a->data, 0);
    } else if (!tpm_wire_get32(a->data)) {
        carry_out(t, cmd, body, len, a);
    } else if (cmd == TPM_CTL_INIT) {
        t->stopped |= t->running;
        t->running = false;
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
