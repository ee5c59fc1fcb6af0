/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backend tpm-emulator: migration and snapshots
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * The TPM's state is fetched when the machine has stopped and nothing of its
 * devices has been written: a TPM that does not answer then fails the
 * migration, and the machine goes on.  Also, a response that comes meanwhile
 * gets into the guest's memory before the last of that is sent.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "migration/blocker.h"
#include "migration/misc.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "system/runstate.h"
#include "trace/trace-backends_tpm.h"
#include "emulator.h"
#include "tpm-switchover.h"

/* A command may end by itself for this long before it is cancelled, ms */
#define GRACE_MS    1000

/* How often a wait looks whether it is still wanted, ms */
#define SLICE_MS    200

/* The only one there is: -tpmdev refuses a second one */
static TPMEmulator *in_use;

void tpm_emulator_changed(TPMEmulator *e)
{
    e->saved = false;
}

static void blobs_free(TPMEmulator *e)
{
    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        g_free(e->blobs[i].buffer);
        e->blobs[i] = (TpmEmulatorBlob) { 0 };
    }
}

int64_t tpm_emulator_grace_ms(const TPMEmulator *e)
{
    return MIN(GRACE_MS, tpm_emulator_control_ms(e) / 4);
}

void tpm_emulator_hurry(TPMEmulator *e)
{
    if (e->current) {
        tpm_tally_cancel(&TPM_BACKEND(e)->extra.tally);
        tpm_worker_request(e->worker, e->current, TPM_REQ_HURRY);
    }
}

/* Who cancels the migration does not want to wait for the TPM */
static bool wait_slices(TPMEmulator *e, TpmJob *job, int64_t ms,
                        TpmWanted *wanted)
{
    int64_t deadline = tpm_io_now() + ms;

    do {
        if (tpm_worker_wait(e->worker, job, MIN(ms, SLICE_MS))) {
            return true;
        }
        ms = deadline - tpm_io_now();
    } while (ms > 0 && (!wanted || wanted()));
    return false;
}

/*
 * Wait for @job, which is behind the guest's command if there is one: that is
 * cancelled after a while
 */
static bool wait_behind_command(TPMEmulator *e, TpmJob *job, TpmWanted *wanted)
{
    int64_t control = tpm_emulator_control_ms(e);

    if (tpm_worker_wait(e->worker, job, tpm_emulator_grace_ms(e))) {
        return true;
    }
    tpm_emulator_hurry(e);
    /* The answer to the cancel, the response, and what @job itself takes */
    return wait_slices(e, job, 3 * control + GRACE_MS, wanted);
}

void tpm_emulator_drain(TPMEmulator *e)
{
    TpmJob *job = e->current;

    if (job) {
        tpm_job_ref(e->worker, job);
        wait_behind_command(e, job, NULL);
        tpm_job_unref(e->worker, job);
    }
}

static void take_blobs(TPMEmulator *e, TpmJob *job)
{
    blobs_free(e);
    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        TpmBlob *b = &job->blobs[i];

        e->blobs[i].flags = b->flags;
        e->blobs[i].size = b->size;
        e->blobs[i].buffer = g_steal_pointer(&b->data);
        trace_tpm_emulator_get_state_blob(i + 1, b->size, b->flags);
    }
}

/* One attempt; @again: it is worth another one */
static bool save_once(TPMEmulator *e, TpmWanted *wanted, bool *again,
                      Error **errp)
{
    TpmJob *job = tpm_job_new(TPM_JOB_SAVE);
    unsigned generation = e->generation;
    bool running = runstate_is_running();
    int64_t since = tpm_io_now();
    bool ok = false;

    tpm_worker_submit(e->worker, job);
    if (!wait_behind_command(e, job, wanted)) {
        error_setg(errp, "TPM '%s': its state was not to be had within %"
                   PRId64 " ms: it does not end what it is doing",
                   TPM_BACKEND(e)->id, tpm_io_now() - since);
        tpm_worker_request(e->worker, job, TPM_REQ_CANCEL);
        tpm_worker_withdraw(e->worker, job);
    } else if (generation != e->generation) {
        *again = true;
        error_setg(errp, "TPM '%s': the machine was reset meanwhile",
                   TPM_BACKEND(e)->id);
    } else if (!job->ok) {
        error_setg(errp, "TPM '%s': %s", TPM_BACKEND(e)->id, job->error);
    } else if (runstate_is_running() && !running) {
        error_setg(errp, "TPM '%s': the machine was started meanwhile",
                   TPM_BACKEND(e)->id);
    } else {
        take_blobs(e, job);
        e->saved = true;
        ok = true;
    }
    tpm_job_unref(e->worker, job);
    return ok;
}

static bool save(TPMEmulator *e, TpmWanted *wanted, Error **errp)
{
    bool again = false, ok;
    Error *err = NULL;

    e->waiting++;
    ok = save_once(e, wanted, &again, &err);
    if (!ok && again) {
        error_free(err);
        err = NULL;
        ok = save_once(e, wanted, &again, &err);
    }
    e->waiting--;
    error_propagate(errp, err);
    return ok;
}

bool tpm_emulator_in_wait(TPMBackend *tb)
{
    return TPM_EMULATOR(tb)->waiting;
}

bool tpm_migration_switchover(TpmWanted *wanted, Error **errp)
{
    /* In mode cpr-* the machine may still run: pre_save does it then */
    if (!in_use || runstate_is_running()) {
        return true;
    }
    return save(in_use, wanted, errp);
}

static int tpm_emulator_pre_save(void *opaque)
{
    TPMEmulator *e = opaque;
    Error *err = NULL;

    trace_tpm_emulator_pre_save();
    if (!e->saved && !save(e, NULL, &err)) {
        error_report_err(err);
        return -EIO;
    }
    return 0;
}

static int tpm_emulator_pre_load(void *opaque)
{
    blobs_free(opaque);
    return 0;
}

static TpmJob *restore_job(TPMEmulator *e)
{
    TpmJob *job = tpm_job_new(TPM_JOB_RESTORE);

    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        TpmEmulatorBlob *b = &e->blobs[i];

        trace_tpm_emulator_set_state_blob(i + 1, b->size, b->flags);
        job->blobs[i].flags = b->flags;
        job->blobs[i].size = b->size;
        job->blobs[i].data = g_steal_pointer(&b->buffer);
        b->size = 0;
    }
    return job;
}

static int tpm_emulator_post_load(void *opaque, int version_id)
{
    TPMEmulator *e = opaque;
    TpmJob *job = restore_job(e);
    int ret = 0;

    e->generation++;
    tpm_emulator_changed(e);
    if (qemu_in_coroutine()) {
        job->co = qemu_coroutine_self();
        tpm_worker_submit(e->worker, job);
        while (!job->delivered) {
            qemu_coroutine_yield();
        }
    } else {
        tpm_worker_submit(e->worker, job);
        tpm_worker_wait(e->worker, job, TPM_IO_NEVER);
    }
    if (!job->ok) {
        error_report("tpm-emulator: %s", job->error);
        ret = -EIO;
    }
    tpm_job_unref(e->worker, job);
    return ret;
}

/* Also as the stream is written: pre_save has seen to it */
static bool blob_fits(const TPMEmulator *e, unsigned i)
{
    if (e->blobs[i].size > TPM_BLOB_MAX) {
        error_report("tpm-emulator: part %u of the TPM's state has %u bytes, "
                     "but must be within 0..%d", i + 1, e->blobs[i].size,
                     TPM_BLOB_MAX);
        return false;
    }
    return true;
}

static bool permanent_fits(void *opaque, int version_id)
{
    return blob_fits(opaque, 0);
}

static bool volatile_fits(void *opaque, int version_id)
{
    return blob_fits(opaque, 1);
}

static bool savestate_fits(void *opaque, int version_id)
{
    return blob_fits(opaque, 2);
}

/* Same bytes as upstream's, which checks no size */
static const VMStateDescription vmstate_tpm_emulator = {
    .name = "tpm-emulator",
    .version_id = 0,
    .pre_save = tpm_emulator_pre_save,
    .pre_load = tpm_emulator_pre_load,
    .post_load = tpm_emulator_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(blobs[0].flags, TPMEmulator),
        VMSTATE_UINT32(blobs[0].size, TPMEmulator),
        VMSTATE_VALIDATE("size of a part of the TPM's state", permanent_fits),
        VMSTATE_VBUFFER_ALLOC_UINT32(blobs[0].buffer, TPMEmulator, 0, 0,
                                     blobs[0].size),
        VMSTATE_UINT32(blobs[1].flags, TPMEmulator),
        VMSTATE_UINT32(blobs[1].size, TPMEmulator),
        VMSTATE_VALIDATE("size of a part of the TPM's state", volatile_fits),
        VMSTATE_VBUFFER_ALLOC_UINT32(blobs[1].buffer, TPMEmulator, 0, 0,
                                     blobs[1].size),
        VMSTATE_UINT32(blobs[2].flags, TPMEmulator),
        VMSTATE_UINT32(blobs[2].size, TPMEmulator),
        VMSTATE_VALIDATE("size of a part of the TPM's state", savestate_fits),
        VMSTATE_VBUFFER_ALLOC_UINT32(blobs[2].buffer, TPMEmulator, 0, 0,
                                     blobs[2].size),
        VMSTATE_END_OF_LIST()
    }
};

void tpm_emulator_block(TPMEmulator *e, const char *reason)
{
    if (!reason) {
        migrate_del_blocker(&e->lost);
        return;
    }
    if (!e->lost) {
        error_setg(&e->lost, "TPM '%s' is lost: %s", TPM_BACKEND(e)->id,
                   reason);
        /* Refused while a migration runs: that fails at the switchover */
        migrate_add_blocker_internal(&e->lost, NULL);
    }
}

static void lock_storage(TPMEmulator *e)
{
    TpmJob *job = tpm_job_new(TPM_JOB_LOCK_STORAGE);

    tpm_worker_submit(e->worker, job);
    tpm_job_unref(e->worker, job);
    e->relock = false;
}

void tpm_emulator_saved(TPMEmulator *e)
{
    TpmWorkerInfo info;

    tpm_worker_info(e->worker, &info);
    e->relock = !info.lost;
    /* The machine may have gone on without waiting for it */
    if (e->relock && runstate_is_running()) {
        lock_storage(e);
    }
}

static void vm_state_change(void *opaque, bool running, RunState state)
{
    TPMEmulator *e = opaque;
    TpmWorkerInfo info;

    trace_tpm_emulator_vm_state_change(running, state);
    if (!running || !e->worker) {
        return;
    }
    tpm_emulator_changed(e);
    tpm_worker_info(e->worker, &info);
    if (info.lost) {
        tpm_emulator_block(e, TPM_BACKEND(e)->extra.last_error);
    } else if (e->relock) {
        /* Before the guest's next command, as jobs are done in their order */
        lock_storage(e);
    }
    e->relock = false;
}

/* A migration that ran when the TPM was lost has ended, and took no blocker */
static int migration_ended(NotifierWithReturn *notifier, MigrationEvent *event,
                           Error **errp)
{
    TPMEmulator *e = container_of(notifier, TPMEmulator, migration_notifier);
    TpmWorkerInfo info;

    if (event->type == MIG_EVENT_PRECOPY_FAILED) {
        tpm_worker_info(e->worker, &info);
        if (info.lost && TPM_BACKEND(e)->extra.last_error) {
            tpm_emulator_block(e, TPM_BACKEND(e)->extra.last_error);
        }
    }
    return 0;
}

bool tpm_emulator_check_migratable(TPMEmulator *e, Error **errp)
{
    uint32_t need = TPM_CTL_CAP_GET_STATEBLOB | TPM_CTL_CAP_SET_STATEBLOB |
                    TPM_CTL_CAP_STOP;

    if ((e->caps & need) == need) {
        migrate_del_blocker(&e->no_migration);
        return true;
    }
    if (e->no_migration) {
        return true;
    }
    error_setg(&e->no_migration, "Migration disabled: TPM emulator does not "
               "support migration");
    return migrate_add_blocker(&e->no_migration, errp) >= 0;
}

TPMEmulator *tpm_emulator_used(void)
{
    return in_use;
}

void tpm_emulator_in_use(TPMEmulator *e)
{
    in_use = e;
    migration_add_notifier(&e->migration_notifier, migration_ended);
}

void tpm_emulator_migration_init(TPMEmulator *e)
{
    e->vm_state = qemu_add_vm_change_state_handler(vm_state_change, e);
    vmstate_register_any(NULL, &vmstate_tpm_emulator, e);
}

void tpm_emulator_migration_finalize(TPMEmulator *e)
{
    if (in_use == e) {
        in_use = NULL;
        migration_remove_notifier(&e->migration_notifier);
    }
    vmstate_unregister(NULL, &vmstate_tpm_emulator, e);
    qemu_del_vm_change_state_handler(e->vm_state);
    migrate_del_blocker(&e->no_migration);
    migrate_del_blocker(&e->lost);
    blobs_free(e);
}
