/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What swtpm was seen to answer on its control channel
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifndef NEARMETAL_TPM_ANSWERS_H
#define NEARMETAL_TPM_ANSWERS_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How things stand with the TPM when it is asked */
typedef enum TpmAt {
    TPM_AT_FRESH,           /* before CMD_INIT */
    TPM_AT_RUNNING,
    TPM_AT_STOPPED,         /* by CMD_STOP */
    TPM_AT_GONE,            /* running, and its state directory was removed */
    TPM_AT_FULL,            /* running, and nothing can be written any more */
    TPM_AT_LOCKED,          /* another swtpm has its state: CMD_INIT failed */
    TPM_AT_SPOILED,         /* its state makes no sense: CMD_INIT failed */
    TPM_ATS
} TpmAt;

typedef struct TpmAnswer {
    TpmAt at;
    uint32_t cmd;
    const char *body;       /* what follows the number, hexadecimal */
    const char *answer;     /* hexadecimal; a star at its end: and more */
} TpmAnswer;

/* All that was asked, with the answers of 0.7 */
const TpmAnswer *tpm_answers(unsigned *n);

/**
 * tpm_answer_find:
 * @newer: of swtpm 0.10
 * @body: one that was not tried is answered as the next smaller one
 *
 * Returns: NULL if nobody asked
 */
const TpmAnswer *tpm_answer_find(bool newer, TpmAt at, uint32_t cmd,
                                 const char *body);

/* Bytes as they are in the table, to be g_free()d */
char *tpm_answer_hex(const uint8_t *p, size_t len);

#endif
