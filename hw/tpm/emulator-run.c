/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that talks to swtpm: what it does for each job
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "block/aio.h"
#include "emulator-worker-private.h"

/* To CMD_INIT after the state was set: nothing volatile shall stay on disk */
#define INIT_DELETE_VOLATILE    1

/* swtpm tries this often while the other side holds its files */
#define LOCK_RETRIES            300
#define LOCK_RETRY_MS           10

/* The TPM's buffer may be asked for, not set, by 0 */
static bool probe_buffer(TpmWorker *w, uint32_t *size, int64_t deadline)
{
    *size = 0;
    return tpm_link_set_buffer_size(&w->link, size, deadline);
}

static const char *version_name(TpmWireVersion v)
{
    return v == TPM_WIRE_1_2 ? "1.2" : "2.0";
}

static bool same_tpm(TpmWorker *w)
{
    TpmLink *l = &w->link;

    if (!w->probed) {
        return true;
    }
    if (l->version == w->info.version) {
        return true;
    }
    snprintf(l->reason, sizeof(l->reason),
             "the new connection leads to a TPM %s, not %s",
             version_name(l->version), version_name(w->info.version));
    return false;
}

/* Take connection @fd in use; -1: go on with the one there is */
static bool connect_fd(TpmWorker *w, int fd, int64_t deadline)
{
    bool ok = fd < 0 ? tpm_link_probe_again(&w->link, deadline)
                     : tpm_link_probe(&w->link, fd, deadline);
    uint32_t size;

    if (!ok || !same_tpm(w) ||
        !probe_buffer(w, &size, deadline)) {
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

static bool connect_next(TpmWorker *w, int64_t deadline)
{
    int fd = tpm_worker_next_fd(w, deadline);

    if (fd >= 0) {
        return connect_fd(w, fd, deadline);
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
static bool give_up_connection(TpmWorker *w, int64_t deadline)
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
static bool get_ready(TpmWorker *w, int64_t deadline)
{
    TpmLink *l = &w->link;
    bool fresh;

    qemu_mutex_lock(&w->lock);
    fresh = w->next_fd >= 0;
    qemu_mutex_unlock(&w->lock);
    if (fresh) {
        return connect_next(w, deadline);
    }
    if (!l->down && !give_up_connection(w, deadline)) {
        if (!l->probed) {
            return connect_fd(w, -1, deadline);
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
    return connect_next(w, deadline);
}

static bool try_start(TpmWorker *w, TpmJob *job, int64_t deadline)
{
    uint32_t size = job->buffer_size;
    bool est = false;

    if (!get_ready(w, deadline) ||
        !tpm_link_start(&w->link, &size, job->init, 0, &est, deadline)) {
        return false;
    }
    job->buffer_size = size;
    qatomic_set(&w->established, est);
    w->silent = false;
    qemu_mutex_lock(&w->lock);
    w->info.lost = false;
    qemu_mutex_unlock(&w->lock);
    return true;
}

static bool try_once(TpmWorker *w, TpmJob *job, int64_t deadline)
{
    if (job->kind == TPM_JOB_START) {
        return try_start(w, job, deadline);
    }
    return connect_next(w, deadline);
}

/* A connection that closes is followed by another one, within the deadline */
static bool run_start(TpmWorker *w, TpmJob *job)
{
    int64_t deadline = job->deadline ?: tpm_io_now() + w->start_ms;

    while (!try_once(w, job, deadline)) {
        if (!w->link.down || !w->reconnects || tpm_io_now() >= deadline ||
            tpm_worker_requests(w, job)) {
            return false;
        }
        tpm_worker_disconnect(w);
    }
    return true;
}

typedef struct Running {
    TpmWorker *w;
    const TpmJob *job;
} Running;

static unsigned poll_requests(void *opaque)
{
    Running *r = opaque;

    return tpm_worker_requests(r->w, r->job);
}

/* false: the command has failed; the link tells whether the TPM has, too */
static bool run_command(TpmWorker *w, TpmJob *job, bool *lost)
{
    Running running = { .w = w, .job = job };
    TpmLinkOps ops = {
        .poll_requests = poll_requests,
        .wake_fd = event_notifier_get_fd(&w->wake),
        .opaque = &running,
    };

    if (tpm_worker_requests(w, job)) {
        job->fault = TPM_FAULT_CANCELED;
        pstrcpy(job->error, sizeof(job->error), "cancelled");
        return false;
    }
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
static bool link_lost(const TpmWorker *w, const TpmJob *job)
{
    return job->kind != TPM_JOB_COMMAND && job->kind != TPM_JOB_SHUTDOWN &&
           w->link.down;
}

void tpm_worker_recover(TpmWorker *w)
{
    TpmJob again = {
        .kind = TPM_JOB_START,
        .buffer_size = w->restart_buffer,
        .init = w->restart_init,
    };

    if (w->restart) {
        if (!try_start(w, &again, tpm_io_now() + w->start_ms)) {
            return;
        }
    } else if (!tpm_link_resync(&w->link, NULL,
                                tpm_io_now() + w->control_ms) ||
               !run_ping(w)) {
        return;
    }
    w->restart = w->silent = false;
    qemu_mutex_lock(&w->lock);
    w->info.lost = false;
    w->back = true;
    qemu_mutex_unlock(&w->lock);
    qemu_bh_schedule(w->bh);
}

void tpm_worker_run(TpmWorker *w, TpmJob *job)
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
        lost = !job->ok && (lost || link_lost(w, job));
    }
    if (!job->ok && !job->error[0]) {
        pstrcpy(job->error, sizeof(job->error), w->link.reason);
    }
    if (lost) {
        tpm_worker_lose(w);
    }
}
