/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the files of the tpm-emulator backend
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Everything here is the BQL's: fields are read and written, and functions
 * called, with it held.  In the main thread, but for what waits for the TPM:
 * that drops the BQL meanwhile, and is called by the migration's thread, too.
 *
 * Calls go one way: emulator.c to the other two, all to emulator-worker.h.
 */
#ifndef NEARMETAL_TPM_EMULATOR_H
#define NEARMETAL_TPM_EMULATOR_H

#include "hw/nearmetal/compat.h"
#include "chardev/char-fe.h"
#include "qemu/notify.h"
#include "qapi/qapi-types-tpm.h"
#include "qom/object.h"
#include "system/runstate.h"
#include "system/tpm_backend.h"
#include "emulator-worker.h"

#define TYPE_TPM_EMULATOR "tpm-emulator"
OBJECT_DECLARE_SIMPLE_TYPE(TPMEmulator, TPM_EMULATOR)

struct TPMEmulator {
    TPMBackend parent;

    TPMEmulatorOptions *options;
    int64_t start_ms;           /* start-timeout */
    int64_t control_ms;         /* control-timeout */
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
    TpmBlob blobs[TPM_BLOBS];
    Error *no_migration;        /* blocker: the backend cannot migrate */
    Error *lost;                /* blocker: it is lost */
    NotifierWithReturn migration_notifier;
    NotifierWithReturn switchover_notifier;
    VMChangeStateEntry *vm_state;
};

/**
 * tpm_emulator_open: use the character device of the options, and wait until it
 * is connected, or until @deadline (as of tpm_io_now())
 */
bool tpm_emulator_open(TPMEmulator *e, int64_t deadline, Error **errp);
void tpm_emulator_close(TPMEmulator *e);

/* Will a closed connection be followed by another one? */
bool tpm_emulator_reconnects(TPMEmulator *e);

/* Give the worker the connection that there is */
void tpm_emulator_use_connection(TPMEmulator *e);

/* Migration: to be called with the object's life */
void tpm_emulator_migration_init(TPMEmulator *e);
void tpm_emulator_migration_finalize(TPMEmulator *e);

/* It is found usable: migrations and snapshots ask it from now on */
void tpm_emulator_migration_begin(TPMEmulator *e);

/* Block migrations, or no more, as TPMEmulator.caps has it */
bool tpm_emulator_check_migratable(TPMEmulator *e, Error **errp);

/* The state was asked for: swtpm's storage may be unlocked */
void tpm_emulator_saved(TPMEmulator *e);

/* No migration while the TPM is lost, for @reason; NULL: it has recovered */
void tpm_emulator_block(TPMEmulator *e, const char *reason);

/*
 * TPMBackendClass.finish: end the pending command if it can be.  Waits, in the
 * main or the migration's thread.
 */
void tpm_emulator_finish(TPMBackend *tb);

#endif
