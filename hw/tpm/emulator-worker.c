/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that talks to swtpm: what it shares with the others, and who waits
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include <poll.h>
#include <sys/socket.h>
#include "qemu/cutils.h"
#include "block/aio.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "emulator-worker-private.h"

/* At the end of QEMU a TPM that does not answer is not waited for long, ms */
#define SHUTDOWN_MS     1000

static void worker_wake(TpmWorker *w)
{
    event_notifier_set(&w->wake);
}

TpmJob *tpm_job_new(TpmJobKind kind)
{
    TpmJob *job = g_new0(TpmJob, 1);

    job->kind = kind;
    job->refs = 1;
    return job;
}

void tpm_job_ref(TpmJob *job)
{
    job->refs++;
}

void tpm_job_unref(TpmJob *job)
{
    if (--job->refs) {
        return;
    }
    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        g_free(job->blobs[i].data);
    }
    g_free(job->in);
    g_free(job->out);
    g_free(job);
}

void tpm_worker_submit(TpmWorker *w, TpmJob *job)
{
    tpm_job_ref(job);
    qemu_mutex_lock(&w->lock);
    QSIMPLEQ_INSERT_TAIL(&w->queue, job, next);
    qemu_mutex_unlock(&w->lock);
    worker_wake(w);
}

void tpm_worker_request(TpmWorker *w, TpmJob *job, unsigned req)
{
    qemu_mutex_lock(&w->lock);
    job->requests |= req;
    qemu_mutex_unlock(&w->lock);
    worker_wake(w);
}

unsigned tpm_worker_requests(TpmWorker *w, const TpmJob *job)
{
    unsigned req;

    qemu_mutex_lock(&w->lock);
    req = job->requests;
    if (w->quit) {
        req |= TPM_REQ_CANCEL | TPM_REQ_DRAIN;
    }
    qemu_mutex_unlock(&w->lock);
    return req;
}

void tpm_worker_flush(TpmWorker *w)
{
    TpmJob *job;

    qemu_mutex_lock(&w->lock);
    while ((job = QSIMPLEQ_FIRST(&w->queue))) {
        QSIMPLEQ_REMOVE_HEAD(&w->queue, next);
        job->fault = TPM_FAULT_CANCELED;
        pstrcpy(job->error, sizeof(job->error), "the machine was reset");
        job->skipped = true;
        job->done = true;
        QSIMPLEQ_INSERT_TAIL(&w->finished, job, next);
    }
    qemu_cond_broadcast(&w->cond);
    qemu_mutex_unlock(&w->lock);
    qemu_bh_schedule(w->bh);
}

static void worker_deliver_jobs(TpmWorker *w)
{
    QSIMPLEQ_HEAD(, TpmJob) finished = QSIMPLEQ_HEAD_INITIALIZER(finished);
    TpmJob *job;

    qemu_mutex_lock(&w->lock);
    QSIMPLEQ_CONCAT(&finished, &w->finished);
    qemu_mutex_unlock(&w->lock);
    while ((job = QSIMPLEQ_FIRST(&finished))) {
        QSIMPLEQ_REMOVE_HEAD(&finished, next);
        job->delivered = true;
        w->ops.done(w->ops.opaque, job);
        if (job->co) {
            aio_co_wake(job->co);
        }
        tpm_job_unref(job);
    }
}

/* In the main thread, with the BQL: tell what happened */
static void worker_deliver_bh(void *opaque)
{
    TpmWorker *w = opaque;
    bool report, back, disconnect;
    char reason[sizeof(w->reason)];

    qemu_mutex_lock(&w->lock);
    if (w->quit) {
        /* Who would be told is gone, or about to */
        qemu_mutex_unlock(&w->lock);
        return;
    }
    report = w->report;
    back = w->back && !w->info.lost;
    disconnect = w->disconnect;
    w->report = w->back = w->disconnect = false;
    memcpy(reason, w->reason, sizeof(reason));
    qemu_mutex_unlock(&w->lock);

    if (report) {
        w->ops.lost(w->ops.opaque, reason);
    }
    if (back) {
        w->ops.back(w->ops.opaque);
    }
    if (disconnect) {
        w->ops.disconnect(w->ops.opaque);
    }
    worker_deliver_jobs(w);
}

static bool worker_wait_done(TpmWorker *w, const TpmJob *job, int64_t deadline)
{
    bool done;

    qemu_mutex_lock(&w->lock);
    while (!job->done && tpm_io_now() < deadline) {
        int64_t left = deadline - tpm_io_now();

        if (deadline == TPM_IO_NEVER) {
            qemu_cond_wait(&w->cond, &w->lock);
        } else if (left > 0) {
            qemu_cond_timedwait(&w->cond, &w->lock, MIN(left, INT_MAX));
        }
    }
    done = job->done;
    qemu_mutex_unlock(&w->lock);
    return done;
}

bool tpm_worker_wait(TpmWorker *w, TpmJob *job, int64_t ms)
{
    int64_t deadline = ms == TPM_IO_NEVER ? TPM_IO_NEVER : tpm_io_now() + ms;
    bool done;

    bql_unlock();
    done = worker_wait_done(w, job, deadline);
    bql_lock();
    /* The bottom half may have been quicker; a loss is left to it */
    if (done && !job->delivered) {
        worker_deliver_jobs(w);
    }
    return done;
}

void tpm_worker_info(TpmWorker *w, TpmWorkerInfo *info)
{
    qemu_mutex_lock(&w->lock);
    *info = w->info;
    info->busy = w->running || !QSIMPLEQ_EMPTY(&w->queue);
    qemu_mutex_unlock(&w->lock);
}

bool tpm_worker_lost(TpmWorker *w)
{
    TpmWorkerInfo info;

    tpm_worker_info(w, &info);
    return info.lost;
}

bool tpm_worker_established(TpmWorker *w)
{
    return qatomic_read(&w->established);
}

void tpm_worker_connected(TpmWorker *w, int fd)
{
    int old;

    qemu_mutex_lock(&w->lock);
    old = w->next_fd;
    w->next_fd = fd;
    /* Either way the old one is not the character device's any more */
    w->disconnect = false;
    qemu_mutex_unlock(&w->lock);
    if (old >= 0) {
        close(old);
    }
    worker_wake(w);
}

int tpm_worker_next_fd(TpmWorker *w, int64_t deadline)
{
    struct pollfd p = {
        .fd = event_notifier_get_fd(&w->wake), .events = POLLIN,
    };

    for (;;) {
        bool quit;
        int fd;

        qemu_mutex_lock(&w->lock);
        fd = w->next_fd;
        w->next_fd = -1;
        quit = w->quit;
        qemu_mutex_unlock(&w->lock);
        if (fd >= 0 || quit || tpm_io_now() >= deadline) {
            return fd;
        }
        poll(&p, 1, tpm_io_poll_timeout(deadline));
        event_notifier_test_and_clear(&w->wake);
    }
}

/* Has the peer closed it?  Then the character device finds out by itself */
static bool worker_peer_closed(int fd)
{
    char byte;

    return fd < 0 || recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void tpm_worker_disconnect(TpmWorker *w)
{
    bool closed = worker_peer_closed(w->link.ctrl);

    tpm_link_close(&w->link);
    qemu_mutex_lock(&w->lock);
    w->disconnect |= !closed && w->next_fd < 0;
    qemu_mutex_unlock(&w->lock);
    qemu_bh_schedule(w->bh);
}

void tpm_worker_set_lost(TpmWorker *w)
{
    qemu_mutex_lock(&w->lock);
    memcpy(w->reason, w->link.reason, sizeof(w->reason));
    w->report |= !w->info.lost;
    w->info.lost = true;
    w->back = false;
    qemu_mutex_unlock(&w->lock);
    qemu_bh_schedule(w->bh);
}

void tpm_worker_set_well(TpmWorker *w, bool back)
{
    qemu_mutex_lock(&w->lock);
    w->info.lost = false;
    w->back |= back;
    qemu_mutex_unlock(&w->lock);
    qemu_bh_schedule(w->bh);
}

TpmJob *tpm_worker_take(TpmWorker *w, bool *quit)
{
    TpmJob *job;

    qemu_mutex_lock(&w->lock);
    job = QSIMPLEQ_FIRST(&w->queue);
    if (job) {
        QSIMPLEQ_REMOVE_HEAD(&w->queue, next);
    }
    w->running = job;
    *quit = w->quit && !job;
    qemu_mutex_unlock(&w->lock);
    return job;
}

void tpm_worker_finish(TpmWorker *w, TpmJob *job)
{
    qemu_mutex_lock(&w->lock);
    w->running = NULL;
    job->done = true;
    QSIMPLEQ_INSERT_TAIL(&w->finished, job, next);
    qemu_cond_broadcast(&w->cond);
    qemu_mutex_unlock(&w->lock);
    qemu_bh_schedule(w->bh);
}

void tpm_worker_ended(TpmWorker *w)
{
    qemu_mutex_lock(&w->lock);
    w->ended = true;
    qemu_cond_broadcast(&w->cond);
    qemu_mutex_unlock(&w->lock);
}

TpmWorker *tpm_worker_alloc(const TpmWorkerOps *ops, Error **errp)
{
    TpmWorker *w = g_new0(TpmWorker, 1);
    int err = -event_notifier_init(&w->wake, 0);

    if (err) {
        error_setg_errno(errp, err, "no file descriptor for the TPM's thread");
        g_free(w);
        return NULL;
    }
    w->ops = *ops;
    w->next_fd = -1;
    qemu_mutex_init(&w->lock);
    qemu_cond_init(&w->cond);
    QSIMPLEQ_INIT(&w->queue);
    QSIMPLEQ_INIT(&w->finished);
    w->bh = aio_bh_new(qemu_get_aio_context(), worker_deliver_bh, w);
    return w;
}

void tpm_worker_destroy(TpmWorker *w)
{
    qemu_bh_delete(w->bh);
    event_notifier_cleanup(&w->wake);
    qemu_cond_destroy(&w->cond);
    qemu_mutex_destroy(&w->lock);
    g_free(w);
}

static bool worker_wait_ended(TpmWorker *w, int64_t deadline)
{
    bool ended;

    qemu_mutex_lock(&w->lock);
    w->quit = true;
    worker_wake(w);
    while (!w->ended && tpm_io_now() < deadline) {
        qemu_cond_timedwait(&w->cond, &w->lock,
                            MAX(deadline - tpm_io_now(), 1));
    }
    ended = w->ended;
    qemu_mutex_unlock(&w->lock);
    return ended;
}

void tpm_worker_free(TpmWorker *w)
{
    int64_t deadline = tpm_io_now() + MIN(w->control_ms, SHUTDOWN_MS);
    TpmJob *job;

    tpm_worker_flush(w);
    job = tpm_job_new(TPM_JOB_SHUTDOWN);
    tpm_worker_submit(w, job);
    tpm_job_unref(job);
    if (!worker_wait_ended(w, deadline)) {
        return;
    }
    qemu_thread_join(&w->thread);
    while ((job = QSIMPLEQ_FIRST(&w->finished))) {
        QSIMPLEQ_REMOVE_HEAD(&w->finished, next);
        tpm_job_unref(job);
    }
    tpm_worker_connected(w, -1);
    tpm_worker_destroy(w);
}
