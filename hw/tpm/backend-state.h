/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each TPM backend keeps for management, and commands that QEMU answers
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Everything here is owned by the BQL.
 */
#ifndef NEARMETAL_TPM_BACKEND_STATE_H
#define NEARMETAL_TPM_BACKEND_STATE_H

#include "tpm-counters.h"

typedef struct TPMBackend TPMBackend;
typedef struct TPMBackendCmd TPMBackendCmd;
typedef struct TPMInfo TPMInfo;
typedef struct TPMIf TPMIf;

/* Part of TPMBackend */
typedef struct TpmBackendExtra {
    TpmTally tally;
    uint32_t buffer_size;   /* what the front end uses, 0: not started yet */
    char *last_error;
    /* optional, set by the front end: the established bit may have changed */
    void (*established_changed)(TPMIf *tpmif);
} TpmBackendExtra;

/* @cmd is taken: it will end by tpm_backend_account() or abandon */
void tpm_backend_taken(TPMBackend *tb, const TPMBackendCmd *cmd);

/* The pending command has its response, or failed: @ret not 0 */
void tpm_backend_answered(TPMBackend *tb, int ret);

/*
 * Answer the pending command with the error TPMBackendCmd.reject.  Returns
 * before the front end is told, as with a command that the TPM gets.
 */
void tpm_backend_reject(TPMBackend *tb);

/* End a command that was rejected and waits to be told so */
void tpm_backend_finish_reject(TPMBackend *tb);

/* Tell the front end, if it wants to know */
void tpm_backend_established_changed(TPMBackend *tb);

/*
 * Forget the pending command, if any: the machine is reset.  Whoever runs it
 * must not touch its buffers any more.
 */
void tpm_backend_abandon(TPMBackend *tb);

/* Write QEMU's own answer @code, in the version of @tb, as @cmd's response */
void tpm_backend_error_response(TPMBackend *tb, TPMBackendCmd *cmd,
                                uint32_t code);

/* Write the response of a TPM that has failed.  Any thread, takes no lock */
void tpm_backend_write_failure(TPMBackend *tb, uint8_t *out, uint32_t out_len);

/*
 * QEMU ends: give up the pending command if the backend can, so that the
 * backend is finalized; but not while another thread waits for it
 */
void tpm_backend_leave(TPMBackend *tb);

/**
 * tpm_check_command: may a command that the guest gave go to the backend?
 * @buf: @received bytes of it
 * @limit: most bytes a command may have
 * @len: set to the bytes to send; 0 if it may not
 *
 * Returns: 0, or the code to reject it with
 */
uint32_t tpm_check_command(TPMBackend *tb, const uint8_t *buf, size_t received,
                           size_t limit, uint32_t *len);

/* The backend of the machine's TPM, or NULL */
TPMBackend *tpm_backend_in_use(void);

/* Remember why something failed: the last one is told */
void tpm_backend_set_error(TPMBackend *tb, const char *reason);

/* Add what query-tpm tells beside the configuration.  Never waits */
void tpm_backend_fill_info(TPMBackend *tb, TPMInfo *info);

/* The same for "info tpm" */
void tpm_hmp_show_state(Monitor *mon, const TPMInfo *info);

#endif
