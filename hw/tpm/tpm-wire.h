/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What TPM commands, their responses and swtpm's control messages look like
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic: any thread, no lock, no QEMU headers.
 */

#ifndef NEARMETAL_TPM_WIRE_H
#define NEARMETAL_TPM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values of TPMVersion; what is neither is treated as 2.0 */
typedef enum TpmWireVersion {
    TPM_WIRE_1_2 = 1,
    TPM_WIRE_2_0 = 2,
} TpmWireVersion;

/* Header of a command and of a response: tag 16, size 32, code 32 bits */
#define TPM_WIRE_HDR        10
/* Responses up to here are read to their end, even if they do not fit */
#define TPM_WIRE_DRAIN_MAX  (64 * 1024)

#define TPM_WIRE_TAG_2_0    0x8001  /* no sessions: commands and responses */
#define TPM_WIRE_TAG_1_2    0x00c1  /* a command of TPM 1.2 */
#define TPM_WIRE_RSP_1_2    0x00c4  /* its response */

/* Control messages of swtpm, as in tpm_ioctl.h: CMD_x */
enum {
    TPM_CTL_GET_CAPABILITY = 1,
    TPM_CTL_INIT,
    TPM_CTL_SHUTDOWN,
    TPM_CTL_GET_ESTABLISHED,
    TPM_CTL_SET_LOCALITY,
    TPM_CTL_CANCEL = 9,
    TPM_CTL_STORE_VOLATILE,
    TPM_CTL_RESET_ESTABLISHED,
    TPM_CTL_GET_STATEBLOB,
    TPM_CTL_SET_STATEBLOB,
    TPM_CTL_STOP,
    TPM_CTL_SET_DATAFD = 16,
    TPM_CTL_SET_BUFFERSIZE,
    TPM_CTL_LOCK_STORAGE = 19,
    TPM_CTL_MAX = TPM_CTL_LOCK_STORAGE,
};

/* Results of control messages that mean something to us */
#define TPM_CTL_RES_BAD_ORDINAL 0x0a    /* also: the TPM is not running */
#define TPM_CTL_RES_IOERROR     0x1f    /* SET_DATAFD: there is one already */
#define TPM_CTL_RES_NON_FATAL   0x800   /* GET_STATEBLOB: there is none */

/* What a control message needs, as in tpm_ioctl.h: PTM_CAP_x */
#define TPM_CTL_CAP_INIT                (1u << 0)
#define TPM_CTL_CAP_SHUTDOWN            (1u << 1)
#define TPM_CTL_CAP_GET_ESTABLISHED     (1u << 2)
#define TPM_CTL_CAP_SET_LOCALITY        (1u << 3)
#define TPM_CTL_CAP_CANCEL              (1u << 5)
#define TPM_CTL_CAP_RESET_ESTABLISHED   (1u << 7)
#define TPM_CTL_CAP_GET_STATEBLOB       (1u << 8)
#define TPM_CTL_CAP_SET_STATEBLOB       (1u << 9)
#define TPM_CTL_CAP_STOP                (1u << 10)
#define TPM_CTL_CAP_SET_DATAFD          (1u << 12)
#define TPM_CTL_CAP_SET_BUFFERSIZE      (1u << 13)
#define TPM_CTL_CAP_LOCK_STORAGE        (1u << 16)

/* Why QEMU answers instead of the TPM */
typedef enum TpmWireFault {
    TPM_FAULT_SIZE,         /* the command's size is wrong */
    TPM_FAULT_FAILED,       /* the TPM is lost, or its response was bad */
    TPM_FAULT_CANCELED,     /* cancelled before the TPM got it */
} TpmWireFault;

uint16_t tpm_wire_get16(const uint8_t *p);
uint32_t tpm_wire_get32(const uint8_t *p);
void tpm_wire_put16(uint8_t *p, uint16_t value);
void tpm_wire_put32(uint8_t *p, uint32_t value);

/* The code, in a response of version @v, for @fault */
uint32_t tpm_wire_code(TpmWireVersion v, TpmWireFault fault);

/**
 * tpm_wire_check_command: may these bytes go to the TPM?
 * @buf: the command, @received bytes of it
 * @limit: most bytes a command may have
 * @v: the TPM's version
 * @len: bytes to send, no more than @received; only set if it may go
 *
 * Returns: 0, or the code of the error response to give instead
 */
uint32_t tpm_wire_check_command(const uint8_t *buf, size_t received,
                                size_t limit, TpmWireVersion v, size_t *len);

/**
 * tpm_wire_command_more: does a command need another byte?
 * @buf: the command, @have bytes of it
 * @limit: most bytes a command may have, and room in @buf
 *
 * To be asked before each byte that is stored, not before each access: one
 * of 4 bytes may cross the command's end.
 *
 * Returns: false for a complete command, and for one that no byte makes valid
 * since its size is below the header's or over @limit
 */
bool tpm_wire_command_more(const uint8_t *buf, size_t have, size_t limit);

/* Size of the whole response; 0 for rubbish: nobody knows where it ends */
size_t tpm_wire_response_size(const uint8_t hdr[TPM_WIRE_HDR]);

/**
 * tpm_wire_error: an error response
 *
 * Returns: its size, 0 if it does not fit into @out_len (nothing is written)
 */
size_t tpm_wire_error(uint8_t *out, size_t out_len, TpmWireVersion v,
                      uint32_t code);

/* What a result of a control message means, "" if unknown */
const char *tpm_wire_result_name(uint32_t result);

/* Name of a control message without CMD_, "?" if unknown */
const char *tpm_wire_ctl_name(uint32_t cmd);

/* Bytes of a control message behind its number; SET_STATEBLOB: of the header */
size_t tpm_wire_ctl_request(uint32_t cmd);

/*
 * Bytes of its answer when the result is 0, else there are 4.  GET_STATEBLOB:
 * of the header, which is whole with each result but TPM_CTL_RES_BAD_ORDINAL.
 */
size_t tpm_wire_ctl_answer(uint32_t cmd);

#endif
