/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What TPM commands, their responses and swtpm's control messages look like
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "tpm-wire.h"

/* Where the size is in a header, and the code behind it */
#define HDR_SIZE    2
#define HDR_CODE    6

uint16_t tpm_wire_get16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

uint32_t tpm_wire_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

void tpm_wire_put16(uint8_t *p, uint16_t value)
{
    p[0] = value >> 8;
    p[1] = value;
}

void tpm_wire_put32(uint8_t *p, uint32_t value)
{
    tpm_wire_put16(p, value >> 16);
    tpm_wire_put16(p + 2, value);
}

uint32_t tpm_wire_code(TpmWireVersion v, TpmWireFault fault)
{
    bool old = v == TPM_WIRE_1_2;

    switch (fault) {
    case TPM_FAULT_SIZE:
        return old ? 0x19 : 0x142;  /* TPM_BAD_PARAM_SIZE, RC_COMMAND_SIZE */
    case TPM_FAULT_CANCELED:
        return old ? 0x09 : 0x909;  /* TPM_FAIL, TPM_RC_CANCELED */
    default:
        return old ? 0x09 : 0x101;  /* TPM_FAIL, TPM_RC_FAILURE */
    }
}

uint32_t tpm_wire_check_command(const uint8_t *buf, size_t received,
                                size_t limit, TpmWireVersion v, size_t *len)
{
    uint32_t size;

    if (received >= TPM_WIRE_HDR) {
        size = tpm_wire_get32(buf + HDR_SIZE);
        if (size >= TPM_WIRE_HDR && size <= limit && size <= received) {
            *len = size;
            return 0;
        }
    }
    return tpm_wire_code(v, TPM_FAULT_SIZE);
}

bool tpm_wire_command_more(const uint8_t *buf, size_t have, size_t limit)
{
    uint32_t size;

    if (have >= limit) {
        return false;
    }
    if (have < HDR_CODE) {
        return true;
    }
    size = tpm_wire_get32(buf + HDR_SIZE);
    return size >= TPM_WIRE_HDR && size <= limit && have < size;
}

size_t tpm_wire_response_size(const uint8_t hdr[TPM_WIRE_HDR])
{
    uint32_t size = tpm_wire_get32(hdr + HDR_SIZE);

    return size >= TPM_WIRE_HDR && size <= TPM_WIRE_DRAIN_MAX ? size : 0;
}

size_t tpm_wire_error(uint8_t *out, size_t out_len, TpmWireVersion v,
                      uint32_t code)
{
    if (out_len < TPM_WIRE_HDR) {
        return 0;
    }
    tpm_wire_put16(out, v == TPM_WIRE_1_2 ? TPM_WIRE_RSP_1_2
                                          : TPM_WIRE_TAG_2_0);
    tpm_wire_put32(out + HDR_SIZE, TPM_WIRE_HDR);
    tpm_wire_put32(out + HDR_CODE, code);
    return TPM_WIRE_HDR;
}

static const struct {
    const char *name;
    size_t request;
    size_t answer;
} ctl[TPM_CTL_MAX + 1] = {
    [TPM_CTL_GET_CAPABILITY] = { "GET_CAPABILITY", 0, 8 },
    [TPM_CTL_INIT] = { "INIT", 4, 4 },
    [TPM_CTL_SHUTDOWN] = { "SHUTDOWN", 0, 4 },
    [TPM_CTL_GET_ESTABLISHED] = { "GET_TPMESTABLISHED", 0, 8 },
    [TPM_CTL_SET_LOCALITY] = { "SET_LOCALITY", 4, 4 },
    [TPM_CTL_CANCEL] = { "CANCEL_TPM_CMD", 0, 4 },
    [TPM_CTL_STORE_VOLATILE] = { "STORE_VOLATILE", 0, 4 },
    [TPM_CTL_RESET_ESTABLISHED] = { "RESET_TPMESTABLISHED", 4, 4 },
    [TPM_CTL_GET_STATEBLOB] = { "GET_STATEBLOB", 12, 16 },
    [TPM_CTL_SET_STATEBLOB] = { "SET_STATEBLOB", 12, 4 },
    [TPM_CTL_STOP] = { "STOP", 0, 4 },
    [TPM_CTL_SET_DATAFD] = { "SET_DATAFD", 0, 4 },
    [TPM_CTL_SET_BUFFERSIZE] = { "SET_BUFFERSIZE", 4, 16 },
    [TPM_CTL_LOCK_STORAGE] = { "LOCK_STORAGE", 4, 4 },
};

const char *tpm_wire_result_name(uint32_t result)
{
    /* Codes of TPM 1.2, then of 2.0; words as upstream's */
    static const struct {
        uint32_t result;
        const char *name;
    } all[] = {
        { 0x03, "a parameter is bad" },
        { 0x09, "operation failed" },
        { TPM_CTL_RES_BAD_ORDINAL, "not possible now, or not known" },
        { 0x0d, "key could not be found" },
        { 0x19, "bad parameter size" },
        { 0x20, "encryption error" },
        { 0x21, "decryption error" },
        { 0x28, "bad key property" },
        { 0x2c, "bad (encryption) mode" },
        { 0x2e, "bad version identifier" },
        { 0x3d, "bad locality" },
        { 0x101, "operation failed" },
        { 0x907, "bad locality" },
        { 0x9a, "insufficient amount of data" },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].result == result) {
            return all[i].name;
        }
    }
    return "";
}

const char *tpm_wire_ctl_name(uint32_t cmd)
{
    return cmd <= TPM_CTL_MAX && ctl[cmd].name ? ctl[cmd].name : "?";
}

size_t tpm_wire_ctl_request(uint32_t cmd)
{
    return cmd <= TPM_CTL_MAX ? ctl[cmd].request : 0;
}

size_t tpm_wire_ctl_answer(uint32_t cmd)
{
    return cmd <= TPM_CTL_MAX && ctl[cmd].name ? ctl[cmd].answer : 4;
}
