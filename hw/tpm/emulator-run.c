/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that talks to swtpm: what it does for each job
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include <poll.h>
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "hw/nearmetal/common/thread-try.h"
#include "emulator-worker-private.h"

/* To CMD_INIT after the state was set: nothing volatile shall stay on disk */
#define INIT_DELETE_VOLATILE    1

/* swtpm tries this often while the other side holds its files */
#define LOCK_RETRIES            300
#define LOCK_RETRY_MS           10

static const char *version_name(TpmWireVersion v)
{
    return v == TPM_WIRE_1_2 ? "1.2" : "2.0";
}

static bool run_same_tpm(TpmWorker *w)
{
    TpmLink *l = &w->link;

    if (!w->probed || l->version == w->info.version) {
        return true;
    }
    snprintf(l->reason, sizeof(l->reason),
             "the new connection leads to a TPM %s, not %s",
             version_name(l->version), version_name(w->info.version));
    return false;
}

/* Take connection @fd in use; -1: go on with the one there is */
static bool run_connect_fd(TpmWorker *w, int fd, int64_t deadline)
{
    bool ok = fd < 0 ? tpm_link_probe_again(&w->link, deadline)
                     : tpm_link_probe(&w->link, fd, deadline);
    /* That of the TPM is asked for */
    uint32_t size = 0;

    if (!ok || !run_same_tpm(w) ||
        !tpm_link_set_buffer_size(&w->link, &size, deadline)) {
        return false;
    }
    qemu_mutex_lock(&w->lock);
    w->info.version = w->link.version;
    w->info.caps = w->link.caps;
    w->info.buffer_size = size;
    qemu_mutex_unlock(&w->lock);
    w->probed = true;
    return true;
}

static bool run_connect_next(TpmWorker *w, int64_t deadline)
{
    int fd = tpm_worker_next_fd(w, deadline);

    if (fd >= 0) {
        return run_connect_fd(w, fd, deadline);
    }
    if (!w->link.reason[0]) {
        pstrcpy(w->link.reason, sizeof(w->link.reason), "not connected");
    }
    return false;
}

/*
 * A start has ended already since this connection is silent, and it still is.
 * The peer may live on without it, if there can be another one.
 */
static bool run_give_up_connection(TpmWorker *w, int64_t deadline)
{
    int64_t half = tpm_io_now() + (deadline - tpm_io_now()) / 2;

    if (!w->reconnects || !w->silent || !tpm_link_owes(&w->link) ||
        tpm_link_resync(&w->link, NULL, half)) {
        return false;
    }
    tpm_worker_disconnect(w);
    return true;
}

/* A link that a START can use */
static bool run_get_ready(TpmWorker *w, int64_t deadline)
{
    TpmLink *l = &w->link;
    bool fresh;

    qemu_mutex_lock(&w->lock);
    fresh = w->next_fd >= 0;
    qemu_mutex_unlock(&w->lock);
    if (fresh) {
        return run_connect_next(w, deadline);
    }
    if (!l->down && !run_give_up_connection(w, deadline)) {
        if (!l->probed) {
            return run_connect_fd(w, -1, deadline);
        }
        /* A response that was given up is not waited for once more */
        if (l->data_owed && !l->ctrl_owed) {
            return tpm_link_reopen_data(l, deadline);
        }
        return tpm_link_resync(l, NULL, deadline);
    }
    if (!w->reconnects) {
        pstrcpy(l->reason, sizeof(l->reason), "the connection is closed, and "
                "its character device does not reconnect");
        return false;
    }
    return run_connect_next(w, deadline);
}

static bool run_try_start(TpmWorker *w, TpmJob *job, int64_t deadline)
{
    uint32_t size = job->buffer_size;
    bool est = false;

    if (!run_get_ready(w, deadline) ||
        !tpm_link_start(&w->link, &size, job->init, 0, &est, deadline)) {
        return false;
    }
    job->buffer_size = size;
    qatomic_set(&w->established, est);
    return true;
}

/* A connection that closes is followed by another one, within the deadline */
static bool run_start(TpmWorker *w, TpmJob *job)
{
    int64_t deadline = job->deadline ?: tpm_io_now() + w->start_ms;

    while (!(job->kind == TPM_JOB_START ? run_try_start(w, job, deadline)
                                        : run_connect_next(w, deadline))) {
        if (!w->link.down || !w->reconnects || tpm_io_now() >= deadline ||
            tpm_worker_requests(w, job)) {
            return false;
        }
        tpm_worker_disconnect(w);
    }
    if (job->kind == TPM_JOB_START) {
        w->silent = false;
        tpm_worker_set_well(w, false);
    }
    return true;
}

static unsigned run_poll_requests(void *opaque)
{
    TpmWorker *w = opaque;

    return tpm_worker_requests(w, w->running);
}

/* false: the command has failed; the link tells whether the TPM has, too */
static bool run_command(TpmWorker *w, TpmJob *job, bool *lost)
{
    TpmLinkOps ops = {
        .poll_requests = run_poll_requests,
        .wake_fd = event_notifier_get_fd(&w->wake),
        .opaque = w,
    };

    job->fault = TPM_FAULT_FAILED;
    switch (tpm_link_command(&w->link, job->locty, job->in, job->in_len,
                             job->out, job->out_max, &job->out_len, &ops)) {
    case TPM_CMD_DONE:
        return true;
    case TPM_CMD_LOST:
        *lost = true;
        break;
    case TPM_CMD_CANCELLED:
        job->fault = TPM_FAULT_CANCELED;
        break;
    default:
        break;
    }
    return false;
}

static bool run_ping(TpmWorker *w)
{
    bool est;

    if (!tpm_link_get_established(&w->link, &est,
                                  tpm_io_now() + w->control_ms)) {
        return false;
    }
    qatomic_set(&w->established, est);
    return true;
}

static bool run_reset_established(TpmWorker *w, TpmJob *job)
{
    return tpm_link_reset_established(&w->link, job->locty,
                                      tpm_io_now() + w->control_ms) &&
           run_ping(w);
}

static bool run_save(TpmWorker *w, TpmJob *job)
{
    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        TpmBlob *b = &job->blobs[i];

        if (tpm_worker_requests(w, job)) {
            pstrcpy(job->error, sizeof(job->error), "cancelled");
            return false;
        }
        if (!tpm_link_get_blob(&w->link, i + 1, &b->flags, &b->data, &b->size,
                               TPM_BLOB_MAX, tpm_io_now() + w->control_ms)) {
            return false;
        }
    }
    return true;
}

static bool run_restore(TpmWorker *w, TpmJob *job)
{
    TpmLink *l = &w->link;
    bool est = false;

    if (!tpm_link_stop(l, tpm_io_now() + w->control_ms)) {
        return false;
    }
    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        TpmBlob *b = &job->blobs[i];

        if (!tpm_link_set_blob(l, i + 1, b->flags, b->data, b->size,
                               tpm_io_now() + w->control_ms)) {
            return false;
        }
    }
    if (!tpm_link_run(l, INIT_DELETE_VOLATILE, &est,
                      tpm_io_now() + w->start_ms)) {
        return false;
    }
    l->locality = TPM_LINK_NO_LOCALITY;
    qatomic_set(&w->established, est);
    return true;
}

/* Answers that came too late for who asked are taken first */
static bool run_kind(TpmWorker *w, TpmJob *job, bool *lost)
{
    if (job->kind != TPM_JOB_SHUTDOWN && tpm_worker_requests(w, job)) {
        job->skipped = true;
        job->fault = TPM_FAULT_CANCELED;
        pstrcpy(job->error, sizeof(job->error), "cancelled");
        return false;
    }
    if (job->kind == TPM_JOB_COMMAND) {
        return run_command(w, job, lost);
    }
    if (job->kind != TPM_JOB_SHUTDOWN &&
        !tpm_link_resync(&w->link, NULL, tpm_io_now() + w->control_ms)) {
        return false;
    }
    switch (job->kind) {
    case TPM_JOB_RESET_ESTABLISHED:
        return run_reset_established(w, job);
    case TPM_JOB_SAVE:
        return run_save(w, job);
    case TPM_JOB_RESTORE:
        return run_restore(w, job);
    case TPM_JOB_LOCK_STORAGE:
        /* It must answer in time, even if it has to give up */
        return tpm_link_lock_storage(&w->link,
                                     MIN(LOCK_RETRIES, w->control_ms / 2 /
                                                       LOCK_RETRY_MS),
                                     tpm_io_now() + w->control_ms);
    case TPM_JOB_PING:
        return run_ping(w);
    case TPM_JOB_SHUTDOWN:
        return tpm_link_shutdown(&w->link, tpm_io_now() + w->control_ms);
    default:
        g_assert_not_reached();
    }
}

/* Silence is the misfortune of who asked, and of nobody else */
static bool run_link_lost(const TpmWorker *w, const TpmJob *job)
{
    return job->kind != TPM_JOB_COMMAND && job->kind != TPM_JOB_SHUTDOWN &&
           w->link.down;
}

/*
 * What was owed has come, though it was lost already, and the guest has not
 * noticed
 */
static void run_recover(TpmWorker *w)
{
    TpmJob again = {
        .kind = TPM_JOB_START,
        .buffer_size = w->restart_buffer,
        .init = w->restart_init,
    };

    if (w->restart ? run_try_start(w, &again, tpm_io_now() + w->start_ms)
                   : tpm_link_resync(&w->link, NULL,
                                     tpm_io_now() + w->control_ms) &&
                     run_ping(w)) {
        w->restart = w->silent = false;
        tpm_worker_set_well(w, true);
    }
}

static void run_lose(TpmWorker *w)
{
    tpm_worker_set_lost(w);
    w->silent = !w->link.down;
    /* A live connection is kept: what is owed may still come */
    if (w->reconnects && w->link.down) {
        tpm_worker_disconnect(w);
    }
}

static void run_job(TpmWorker *w, TpmJob *job)
{
    bool start = job->kind == TPM_JOB_START || job->kind == TPM_JOB_PROBE;
    bool lost = false;

    if (start) {
        w->missed = false;
        job->ok = run_start(w, job);
        lost = !job->ok;
        w->restart = lost && job->kind == TPM_JOB_START;
        w->restart_buffer = job->buffer_size;
        w->restart_init = job->init;
    } else if (w->info.lost) {
        job->fault = TPM_FAULT_FAILED;
        /* What it was to do is missing in the TPM: only a reset mends that */
        w->missed |= job->kind == TPM_JOB_COMMAND;
        qemu_mutex_lock(&w->lock);
        pstrcpy(job->error, sizeof(job->error), w->reason);
        qemu_mutex_unlock(&w->lock);
        return;
    } else {
        job->ok = run_kind(w, job, &lost);
        lost = !job->ok && (lost || run_link_lost(w, job));
    }
    if (!job->ok && !job->error[0]) {
        pstrcpy(job->error, sizeof(job->error), w->link.reason);
    }
    if (lost) {
        run_lose(w);
    }
}

/* Wait for a job; look after the connection meanwhile */
static void run_idle(TpmWorker *w)
{
    bool watch = !w->link.down && (w->silent || !w->info.lost);
    bool owed = watch && tpm_link_owes(&w->link);
    struct pollfd p[] = {
        { .fd = event_notifier_get_fd(&w->wake), .events = POLLIN },
        { .fd = watch ? w->link.ctrl : -1, .events = POLLIN },
        { .fd = watch ? w->link.data : -1, .events = POLLIN },
    };

    if (poll(p, ARRAY_SIZE(p), -1) <= 0) {
        return;
    }
    event_notifier_test_and_clear(&w->wake);
    if (!watch) {
        return;
    }
    if ((owed && !tpm_link_collect(&w->link)) ||
        !tpm_link_idle_ok(&w->link, p[1].revents, p[2].revents)) {
        run_lose(w);
    } else if (owed && w->info.lost && !tpm_link_owes(&w->link) &&
               !w->missed) {
        run_recover(w);
    }
}

static void *run_thread(void *opaque)
{
    TpmWorker *w = opaque;
    bool quit = false;

    while (!quit) {
        TpmJob *job = tpm_worker_take(w, &quit);

        if (job) {
            run_job(w, job);
            tpm_worker_finish(w, job);
        } else if (!quit) {
            run_idle(w);
        }
    }
    tpm_link_close(&w->link);
    tpm_worker_ended(w);
    return NULL;
}

TpmWorker *tpm_worker_new(const char *name, int64_t start_ms,
                          int64_t control_ms, bool reconnects,
                          const TpmWorkerOps *ops, Error **errp)
{
    TpmWorker *w = tpm_worker_alloc(ops, errp);
    int err;

    if (!w) {
        return NULL;
    }
    w->start_ms = start_ms;
    w->control_ms = control_ms;
    w->reconnects = reconnects;
    tpm_link_init(&w->link, control_ms);
    err = qemu_thread_try_create(&w->thread, name, run_thread, w,
                                 QEMU_THREAD_JOINABLE);
    if (err) {
        error_setg_errno(errp, err, "the TPM's thread cannot be started");
        tpm_worker_destroy(w);
        return NULL;
    }
    return w;
}
