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
 *
 * A job that saves or loads a snapshot holds the main loop while it does.  A
 * TPM that is frozen shall not freeze the monitor, too, so it must have
 * answered just before.
 */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "qemu/error-report.h"
#include "qemu/job.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "migration/blocker.h"
#include "migration/misc.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "system/runstate.h"
#include "trace/trace-backends_tpm.h"
#include "emulator.h"

/* A command may end by itself for this long before it is cancelled, ms */
#define GRACE_MS    1000

/* How often a wait looks whether it is still wanted, ms */
#define SLICE_MS    200

/* A TPM that is well answers within this time, ms: a snapshot keeps its turn */
#define AT_ONCE_MS  300

/* How often the others are looked at, ms */
#define LOOK_MS     50

static void emulator_free_blobs(TPMEmulator *e)
{
    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        g_free(e->blobs[i].data);
        e->blobs[i] = (TpmBlob) { 0 };
    }
}

static int64_t emulator_grace_ms(const TPMEmulator *e)
{
    return MIN(GRACE_MS, e->control_ms / 4);
}

/* Ask the TPM to cancel the guest's command, for another one who waits */
static void emulator_hurry(TPMEmulator *e)
{
    if (e->current) {
        tpm_tally_cancel(&TPM_BACKEND(e)->extra.tally);
        tpm_worker_request(e->worker, e->current, TPM_REQ_HURRY);
    }
}

/* Who cancels the migration does not want to wait for the TPM */
static bool emulator_wait_wanted(TPMEmulator *e, TpmJob *job, int64_t ms)
{
    int64_t deadline = tpm_io_now() + ms;
    bool migration = migration_is_active();

    do {
        if (tpm_worker_wait(e->worker, job, MIN(ms, SLICE_MS))) {
            return true;
        }
        ms = deadline - tpm_io_now();
    } while (ms > 0 && (!migration || migration_is_active()));
    return false;
}

/*
 * Wait for @job, which is behind the guest's command if there is one: that is
 * cancelled after a while
 */
static bool emulator_wait_behind_command(TPMEmulator *e, TpmJob *job)
{
    if (tpm_worker_wait(e->worker, job, emulator_grace_ms(e))) {
        return true;
    }
    emulator_hurry(e);
    /* The answer to the cancel, the response, and what @job itself takes */
    return emulator_wait_wanted(e, job, 3 * e->control_ms + GRACE_MS);
}

void tpm_emulator_finish(TPMBackend *tb)
{
    TPMEmulator *e = TPM_EMULATOR(tb);
    TpmJob *job = e->current;

    if (job) {
        tpm_job_ref(job);
        emulator_wait_behind_command(e, job);
        tpm_job_unref(job);
    }
}

static void emulator_not_had(TPMEmulator *e, int64_t since, Error **errp)
{
    error_setg(errp, "TPM '%s': its state was not to be had within %" PRId64
               " ms: it does not end what it is doing", TPM_BACKEND(e)->id,
               tpm_io_now() - since);
}

static void emulator_take_blobs(TPMEmulator *e, TpmJob *job)
{
    emulator_free_blobs(e);
    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        TpmBlob *b = &e->blobs[i];

        *b = job->blobs[i];
        job->blobs[i].data = NULL;
        trace_tpm_emulator_get_state_blob(i + 1, b->size, b->flags);
    }
}

/* One attempt; @again: it is worth another one */
static bool emulator_save_once(TPMEmulator *e, bool *again, Error **errp)
{
    TpmJob *job = tpm_job_new(TPM_JOB_SAVE);
    unsigned generation = e->generation;
    bool running = runstate_is_running();
    int64_t since = tpm_io_now();
    bool ok = false;

    tpm_worker_submit(e->worker, job);
    if (!emulator_wait_behind_command(e, job)) {
        emulator_not_had(e, since, errp);
        tpm_worker_request(e->worker, job, TPM_REQ_CANCEL);
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
        emulator_take_blobs(e, job);
        e->saved = true;
        ok = true;
    }
    tpm_job_unref(job);
    return ok;
}

static bool emulator_save(TPMEmulator *e, Error **errp)
{
    bool again = false, ok;
    Error *err = NULL;

    e->waiting++;
    ok = emulator_save_once(e, &again, &err);
    if (!ok && again) {
        error_free(err);
        err = NULL;
        ok = emulator_save_once(e, &again, &err);
    }
    e->waiting--;
    error_propagate(errp, err);
    return ok;
}

static TpmJob *emulator_ping(TPMEmulator *e)
{
    TpmJob *ping = tpm_job_new(TPM_JOB_PING);

    tpm_worker_submit(e->worker, ping);
    return ping;
}

static void emulator_look(void *opaque)
{
    Job *job = opaque;
    bool paused = false;

    WITH_JOB_LOCK_GUARD() {
        paused = job->paused;
    }
    /* Else it looks when it is resumed */
    if (!paused) {
        job_enter(job);
    }
}

/*
 * Let @job yield until the TPM has answered, or takes longer than at a
 * switchover.  It goes on in the main loop itself, not within an aio_poll(),
 * where no snapshot may begin; but anywhere when it is cancelled.
 */
static TpmJob *coroutine_fn emulator_ping_wait(TPMEmulator *e, TpmJob *ping,
                                               Job *job, int64_t since)
{
    int64_t hurry = since + emulator_grace_ms(e);
    int64_t limit = hurry + 3 * e->control_ms;
    /* Whose timers only the main loop runs */
    QEMUTimer *timer = aio_timer_new(iohandler_get_aio_context(),
                                     QEMU_CLOCK_REALTIME, SCALE_MS,
                                     emulator_look, job);

    while (!job_is_cancelled(job)) {
        if (ping->delivered && ping->skipped) {
            /* The machine was reset: what the TPM does now comes first */
            tpm_job_unref(ping);
            ping = emulator_ping(e);
        }
        if (ping->delivered || tpm_io_now() > limit) {
            break;
        }
        if (tpm_io_now() > hurry) {
            hurry = TPM_IO_NEVER;
            emulator_hurry(e);
        }
        timer_mod(timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + LOOK_MS);
        job_yield(job);
    }
    timer_free(timer);
    return ping;
}

/* @job is about to save or load a snapshot: does the TPM answer? */
static bool coroutine_fn emulator_snapshot_ready(TPMEmulator *e, Job *job,
                                                 Error **errp)
{
    int64_t since = tpm_io_now();
    TpmJob *ping;
    bool ok = false;

    object_ref(OBJECT(e));
    ping = emulator_ping(e);
    tpm_worker_wait(e->worker, ping, AT_ONCE_MS);
    ping = emulator_ping_wait(e, ping, job, since);
    if (job_is_cancelled(job)) {
        error_setg(errp, "TPM '%s': not waited for any longer",
                   TPM_BACKEND(e)->id);
    } else if (!ping->delivered) {
        emulator_not_had(e, since, errp);
    } else if (!ping->ok) {
        error_setg(errp, "TPM '%s': %s", TPM_BACKEND(e)->id, ping->error);
    } else {
        ok = true;
    }
    tpm_worker_request(e->worker, ping, TPM_REQ_CANCEL);
    tpm_job_unref(ping);
    object_unref(OBJECT(e));
    return ok;
}

static int emulator_switchover(NotifierWithReturn *notifier, void *data,
                               Error **errp)
{
    TPMEmulator *e = container_of(notifier, TPMEmulator, switchover_notifier);

    if (data) {
        /* Saving one that is lost says so */
        return !tpm_worker_lost(e->worker) &&
               !emulator_snapshot_ready(e, data, errp);
    }
    /* In mode cpr-* the machine may still run: pre_save does it then */
    return !runstate_is_running() && !emulator_save(e, errp);
}

static int tpm_emulator_pre_save(void *opaque)
{
    TPMEmulator *e = opaque;
    Error *err = NULL;

    trace_tpm_emulator_pre_save();
    if (!e->saved && !emulator_save(e, &err)) {
        error_report_err(err);
        return -EIO;
    }
    return 0;
}

static int tpm_emulator_pre_load(void *opaque)
{
    emulator_free_blobs(opaque);
    return 0;
}

static TpmJob *emulator_restore_job(TPMEmulator *e)
{
    TpmJob *job = tpm_job_new(TPM_JOB_RESTORE);

    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        TpmBlob *b = &e->blobs[i];

        trace_tpm_emulator_set_state_blob(i + 1, b->size, b->flags);
        job->blobs[i] = *b;
        *b = (TpmBlob) { 0 };
    }
    return job;
}

static int tpm_emulator_post_load(void *opaque, int version_id)
{
    TPMEmulator *e = opaque;
    TpmJob *job = emulator_restore_job(e);
    int ret = 0;

    e->generation++;
    e->saved = false;
    tpm_worker_submit(e->worker, job);
    if (qemu_in_coroutine()) {
        job->co = qemu_coroutine_self();
        while (!job->delivered) {
            qemu_coroutine_yield();
        }
    } else {
        tpm_worker_wait(e->worker, job, TPM_IO_NEVER);
    }
    if (!job->ok) {
        error_report("tpm-emulator: %s", job->error);
        ret = -EIO;
    }
    tpm_job_unref(job);
    return ret;
}

/*
 * Those that are not loaded yet have 0 bytes.  Also as the stream is written:
 * pre_save has seen to it.
 */
static bool emulator_blobs_fit(void *opaque, int version_id)
{
    TPMEmulator *e = opaque;

    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        if (e->blobs[i].size > TPM_BLOB_MAX) {
            error_report("tpm-emulator: part %u of the TPM's state has %u "
                         "bytes, but must be within 0..%d", i + 1,
                         e->blobs[i].size, TPM_BLOB_MAX);
            return false;
        }
    }
    return true;
}

#define BLOBS_FIT \
    VMSTATE_VALIDATE("size of a part of the TPM's state", emulator_blobs_fit)

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
        BLOBS_FIT,
        VMSTATE_VBUFFER_ALLOC_UINT32(blobs[0].data, TPMEmulator, 0, 0,
                                     blobs[0].size),
        VMSTATE_UINT32(blobs[1].flags, TPMEmulator),
        VMSTATE_UINT32(blobs[1].size, TPMEmulator),
        BLOBS_FIT,
        VMSTATE_VBUFFER_ALLOC_UINT32(blobs[1].data, TPMEmulator, 0, 0,
                                     blobs[1].size),
        VMSTATE_UINT32(blobs[2].flags, TPMEmulator),
        VMSTATE_UINT32(blobs[2].size, TPMEmulator),
        BLOBS_FIT,
        VMSTATE_VBUFFER_ALLOC_UINT32(blobs[2].data, TPMEmulator, 0, 0,
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

static void emulator_lock_storage(TPMEmulator *e)
{
    TpmJob *job = tpm_job_new(TPM_JOB_LOCK_STORAGE);

    tpm_worker_submit(e->worker, job);
    tpm_job_unref(job);
    e->relock = false;
}

void tpm_emulator_saved(TPMEmulator *e)
{
    e->relock = !tpm_worker_lost(e->worker);
    /* The machine may have gone on without waiting for it */
    if (e->relock && runstate_is_running()) {
        emulator_lock_storage(e);
    }
}

static void emulator_vm_state_change(void *opaque, bool running, RunState state)
{
    TPMEmulator *e = opaque;

    trace_tpm_emulator_vm_state_change(running, state);
    if (!running || !e->worker) {
        return;
    }
    e->saved = false;
    if (tpm_worker_lost(e->worker)) {
        tpm_emulator_block(e, TPM_BACKEND(e)->extra.last_error);
    } else if (e->relock) {
        /* Before the guest's next command, as jobs are done in their order */
        emulator_lock_storage(e);
    }
    e->relock = false;
}

/* A migration that ran when the TPM was lost has ended, and took no blocker */
static int emulator_migration_event(NotifierWithReturn *notifier,
                                    MigrationEvent *event, Error **errp)
{
    TPMEmulator *e = container_of(notifier, TPMEmulator, migration_notifier);
    const char *why = TPM_BACKEND(e)->extra.last_error;

    if (event->type == MIG_EVENT_PRECOPY_FAILED && why &&
        tpm_worker_lost(e->worker)) {
        tpm_emulator_block(e, why);
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

void tpm_emulator_migration_begin(TPMEmulator *e)
{
    migration_add_notifier(&e->migration_notifier, emulator_migration_event);
    e->switchover_notifier.notify = emulator_switchover;
    notifier_with_return_list_add(&switchover_notifiers,
                                  &e->switchover_notifier);
}

void tpm_emulator_migration_init(TPMEmulator *e)
{
    e->vm_state = qemu_add_vm_change_state_handler(emulator_vm_state_change,
                                                   e);
    vmstate_register_any(NULL, &vmstate_tpm_emulator, e);
}

void tpm_emulator_migration_finalize(TPMEmulator *e)
{
    if (e->switchover_notifier.notify) {
        migration_remove_notifier(&e->migration_notifier);
        notifier_with_return_remove(&e->switchover_notifier);
    }
    vmstate_unregister(NULL, &vmstate_tpm_emulator, e);
    qemu_del_vm_change_state_handler(e->vm_state);
    migrate_del_blocker(&e->no_migration);
    migrate_del_blocker(&e->lost);
    emulator_free_blobs(e);
}
