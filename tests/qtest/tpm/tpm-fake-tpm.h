/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The made-up swtpm when it behaves
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifndef NEARMETAL_TPM_FAKE_TPM_H
#define NEARMETAL_TPM_FAKE_TPM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "tpm-answers.h"

typedef struct FakeTpm {
    bool old;               /* TPM 1.2 */
    bool newer;             /* answers as swtpm 0.10 does, not as 0.7 */
    TpmAt storage;          /* RUNNING: fine; or GONE, FULL, LOCKED, SPOILED */
    bool running;
    bool stopped;           /* after it was running */
    bool started;           /* by the guest, since CMD_INIT */
    bool established;
    uint32_t caps;
    uint32_t buffer;
    GByteArray *blobs[4];   /* the TPM's state, by type */
} FakeTpm;

void fake_tpm_init(FakeTpm *t);
void fake_tpm_free(FakeTpm *t);

/*
 * Answer to a control message with its @body, to be unreferenced.
 * SET_DATAFD is none of these: that is the connection's.
 */
GByteArray *fake_tpm_ctrl(FakeTpm *t, uint32_t cmd, const uint8_t *body,
                          size_t len);

/* Response to a whole command */
GByteArray *fake_tpm_data(FakeTpm *t, const uint8_t *cmd);

#endif
