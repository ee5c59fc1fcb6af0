/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the files of the tpm-emulator backend
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_EMULATOR_H
#define NEARMETAL_TPM_EMULATOR_H

#include "hw/nearmetal/compat.h"
#include "chardev/char-fe.h"
#include "qemu/notify.h"
#include "qapi/qapi-types-tpm.h"
#include "qemu/option.h"
#include "qom/object.h"
#include "system/runstate.h"
#include "system/tpm_backend.h"
#include "emulator-worker.h"

#define TYPE_TPM_EMULATOR "tpm-emulator"
OBJECT_DECLARE_SIMPLE_TYPE(TPMEmulator, TPM_EMULATOR)

/* Part of the TPM's state in the migration stream */
typedef struct TpmEmulatorBlob {
    uint32_t flags;
    uint32_t size;
    uint8_t *buffer;
} TpmEmulatorBlob;

/* All fields are the BQL's */
struct TPMEmulator {
    TPMBackend parent;

    TPMEmulatorOptions *options;
    CharFrontend chr;
    bool connected;             /* the character device is */
    char *refused;              /* why its connection cannot be used */

    TpmWorker *worker;
    TPMVersion version;
    uint32_t caps;
    TpmJob *current;            /* that of TPMBackend.cmd */
    bool started;               /* the first start has been waited for */
    unsigned waiting;           /* who would be surprised by its end */

    unsigned generation;        /* of the TPM's state: resets and loads */
    bool saved;                 /* blobs are what the TPM has */
    bool relock;                /* the storage was unlocked by a save */
    TpmEmulatorBlob blobs[TPM_BLOBS];
    Error *no_migration;        /* blocker: the backend cannot migrate */
    Error *lost;                /* blocker: it is lost */
    NotifierWithReturn migration_notifier;
    VMChangeStateEntry *vm_state;
};

int64_t tpm_emulator_start_ms(const TPMEmulator *e);
int64_t tpm_emulator_control_ms(const TPMEmulator *e);

/**
 * tpm_emulator_open: use character device @id, and wait until it is connected
 * @deadline: as of tpm_io_now()
 */
bool tpm_emulator_open(TPMEmulator *e, const char *id, int64_t deadline,
                       Error **errp);
void tpm_emulator_close(TPMEmulator *e);

/* Will a closed connection be followed by another one? */
bool tpm_emulator_reconnects(TPMEmulator *e);

/* Give the worker the connection that there is */
void tpm_emulator_use_connection(TPMEmulator *e);

/* QEMU ends: is somebody in another thread waiting for it? */
bool tpm_emulator_in_wait(TPMBackend *tb);

/* Its state is there, and can be asked for at a switchover */
void tpm_emulator_in_use(TPMEmulator *e);

/* That one, or NULL */
TPMEmulator *tpm_emulator_used(void);

/* A command may end by itself for this long before it is cancelled */
int64_t tpm_emulator_grace_ms(const TPMEmulator *e);

/* Ask the TPM to cancel the guest's command, for another one who waits */
void tpm_emulator_hurry(TPMEmulator *e);

/* Migration: to be called with the object's life */
void tpm_emulator_migration_init(TPMEmulator *e);
void tpm_emulator_migration_finalize(TPMEmulator *e);
bool tpm_emulator_check_migratable(TPMEmulator *e, Error **errp);

/* The TPM has changed: what was saved is old */
void tpm_emulator_changed(TPMEmulator *e);

/* The state was asked for: swtpm's storage may be unlocked */
void tpm_emulator_saved(TPMEmulator *e);

/* No migration while the TPM is lost, for @reason; NULL: it has recovered */
void tpm_emulator_block(TPMEmulator *e, const char *reason);

/* End the pending command if it can be; the BQL is dropped meanwhile */
void tpm_emulator_drain(TPMEmulator *e);

#endif
