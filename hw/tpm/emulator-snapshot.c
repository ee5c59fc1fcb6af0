/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backend tpm-emulator: jobs that save and load snapshots ask first
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Saving and loading the state holds the main loop.  A TPM that is frozen shall
 * not freeze the monitor, too, so it must have answered just before.
 */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "qapi/error.h"
#include "qemu/job.h"
#include "qemu/main-loop.h"
#include "qemu/queue.h"
#include "qemu/timer.h"
#include "emulator.h"
#include "tpm-switchover.h"

/* A TPM that is well answers within this time, ms: nothing changes its turn */
#define AT_ONCE_MS  300

/* How often the others are looked at, ms */
#define LOOK_MS     50

typedef struct SnapshotWait {
    TPMEmulator *e;
    Job *job;
    TpmJob *ping;
    int64_t since;
    bool hurried;
    QEMUBHFunc *bh;
    QEMUBH *again;
    QEMUTimer *look;
    QLIST_ENTRY(SnapshotWait) next;
} SnapshotWait;

/* The BQL's */
static QLIST_HEAD(, SnapshotWait) waits = QLIST_HEAD_INITIALIZER(waits);

static SnapshotWait *wait_of(const Job *job)
{
    SnapshotWait *w;

    QLIST_FOREACH(w, &waits, next) {
        if (w->job == job) {
            break;
        }
    }
    return w;
}

/* As at a switchover: a command that is cancelled, and the answer to that */
static bool too_late(const SnapshotWait *w)
{
    return tpm_io_now() - w->since > tpm_emulator_grace_ms(w->e) +
                                     3 * tpm_emulator_control_ms(w->e);
}

static void ask(SnapshotWait *w)
{
    w->ping = tpm_job_new(TPM_JOB_PING);
    tpm_worker_submit(w->e->worker, w->ping);
}

static void look_later(SnapshotWait *w)
{
    timer_mod(w->look, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + LOOK_MS);
}

static void call_again(void *opaque)
{
    SnapshotWait *w = opaque;

    w->bh(w->job);
}

/*
 * Perhaps within an aio_poll(), where no snapshot may begin; but who cancels
 * all jobs at QEMU's end waits in one
 */
static void look(void *opaque)
{
    SnapshotWait *w = opaque;

    if (job_is_cancelled(w->job)) {
        call_again(w);
        return;
    }
    if (w->ping->delivered || too_late(w)) {
        qemu_bh_schedule(w->again);
    } else if (!w->hurried &&
               tpm_io_now() - w->since > tpm_emulator_grace_ms(w->e)) {
        w->hurried = true;
        tpm_emulator_hurry(w->e);
    }
    look_later(w);
}

static SnapshotWait *wait_begin(TPMEmulator *e, Job *job, QEMUBHFunc *bh)
{
    SnapshotWait *w = g_new0(SnapshotWait, 1);

    object_ref(OBJECT(e));
    w->e = e;
    w->job = job;
    w->bh = bh;
    w->since = tpm_io_now();
    /* Whose bottom halves only the main loop runs */
    w->again = aio_bh_new(iohandler_get_aio_context(), call_again, w);
    w->look = aio_timer_new(qemu_get_aio_context(), QEMU_CLOCK_REALTIME,
                            SCALE_MS, look, w);
    QLIST_INSERT_HEAD(&waits, w, next);
    ask(w);
    return w;
}

static int wait_end(SnapshotWait *w, int result)
{
    QLIST_REMOVE(w, next);
    timer_free(w->look);
    qemu_bh_delete(w->again);
    tpm_worker_withdraw(w->e->worker, w->ping);
    tpm_job_unref(w->e->worker, w->ping);
    object_unref(OBJECT(w->e));
    g_free(w);
    return result;
}

static int judge(SnapshotWait *w, Error **errp)
{
    const char *id = TPM_BACKEND(w->e)->id;

    if (job_is_cancelled(w->job)) {
        error_setg(errp, "TPM '%s': not waited for any longer", id);
        return wait_end(w, -1);
    }
    if (w->ping->delivered && w->ping->flushed) {
        /* The machine was reset: what the TPM does now comes first */
        tpm_job_unref(w->e->worker, w->ping);
        ask(w);
    } else if (w->ping->delivered && !w->ping->ok) {
        error_setg(errp, "TPM '%s': %s", id, w->ping->error);
        return wait_end(w, -1);
    } else if (w->ping->delivered) {
        return wait_end(w, 1);
    }
    if (too_late(w)) {
        error_setg(errp, "TPM '%s': its state was not to be had within %"
                   PRId64 " ms: it does not end what it is doing", id,
                   tpm_io_now() - w->since);
        return wait_end(w, -1);
    }
    look_later(w);
    return 0;
}

int tpm_snapshot_ready(Job *job, QEMUBHFunc *bh, Error **errp)
{
    TPMEmulator *e = tpm_emulator_used();
    SnapshotWait *w = wait_of(job);
    TpmWorkerInfo info;

    if (w) {
        return judge(w, errp);
    }
    if (!e) {
        return 1;
    }
    tpm_worker_info(e->worker, &info);
    if (info.lost) {
        return 1;
    }
    w = wait_begin(e, job, bh);
    tpm_worker_wait(e->worker, w->ping, AT_ONCE_MS);
    return judge(w, errp);
}
