/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that talks to swtpm: jobs, and who waits for them
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
#include "hw/nearmetal/common/thread-try.h"

/* At the end of QEMU a TPM that does not answer is not waited for long, ms */
#define SHUTDOWN_MS     1000

static void wake(TpmWorker *w)
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

static void job_free(TpmJob *job)
{
    for (unsigned i = 0; i < TPM_BLOBS; i++) {
        g_free(job->blobs[i].data);
    }
    g_free(job->in);
    g_free(job->out);
    g_free(job);
}

void tpm_job_ref(TpmWorker *w, TpmJob *job)
{
    qemu_mutex_lock(&w->lock);
    job->refs++;
    qemu_mutex_unlock(&w->lock);
}

void tpm_job_unref(TpmWorker *w, TpmJob *job)
{
    bool last;

    qemu_mutex_lock(&w->lock);
    last = --job->refs == 0;
    qemu_mutex_unlock(&w->lock);
    if (last) {
        job_free(job);
    }
}

void tpm_worker_submit(TpmWorker *w, TpmJob *job)
{
    qemu_mutex_lock(&w->lock);
    job->refs++;
    QSIMPLEQ_INSERT_TAIL(&w->queue, job, next);
    qemu_mutex_unlock(&w->lock);
    wake(w);
}

void tpm_worker_request(TpmWorker *w, TpmJob *job, unsigned req)
{
    qemu_mutex_lock(&w->lock);
    job->requests |= req;
    qemu_mutex_unlock(&w->lock);
    wake(w);
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

void tpm_worker_withdraw(TpmWorker *w, TpmJob *job)
{
    TpmJob *j;

    qemu_mutex_lock(&w->lock);
    QSIMPLEQ_FOREACH(j, &w->queue, next) {
        if (j == job) {
            break;
        }
    }
    if (j) {
        QSIMPLEQ_REMOVE(&w->queue, job, TpmJob, next);
    }
    qemu_mutex_unlock(&w->lock);
    if (j) {
        tpm_job_unref(w, job);
    }
}

void tpm_worker_flush(TpmWorker *w)
{
    TpmJob *job;

    qemu_mutex_lock(&w->lock);
    while ((job = QSIMPLEQ_FIRST(&w->queue))) {
        QSIMPLEQ_REMOVE_HEAD(&w->queue, next);
        job->fault = TPM_FAULT_CANCELED;
        pstrcpy(job->error, sizeof(job->error), "the machine was reset");
        job->flushed = true;
        job->done = true;
        QSIMPLEQ_INSERT_TAIL(&w->finished, job, next);
    }
    qemu_cond_broadcast(&w->cond);
    qemu_mutex_unlock(&w->lock);
    qemu_bh_schedule(w->bh);
}

/* Tell what happened; who waits elsewhere leaves a loss to the main thread */
static void deliver(TpmWorker *w, bool main_thread)
{
    QSIMPLEQ_HEAD(, TpmJob) finished = QSIMPLEQ_HEAD_INITIALIZER(finished);
    char reason[sizeof(w->reason)];
    bool report, drop, back;
    TpmJob *job;

    qemu_mutex_lock(&w->lock);
    if (w->quit) {
        /* Who would be told is gone, or about to */
        qemu_mutex_unlock(&w->lock);
        return;
    }
    QSIMPLEQ_CONCAT(&finished, &w->finished);
    report = w->report && main_thread;
    drop = w->drop && main_thread;
    back = w->back && main_thread && !w->info.lost;
    if (main_thread) {
        w->back = false;
    }
    if (report) {
        w->report = false;
        memcpy(reason, w->reason, sizeof(reason));
    }
    if (drop) {
        w->drop = false;
    }
    qemu_mutex_unlock(&w->lock);

    if (report) {
        w->ops.lost(w->ops.opaque, reason);
    }
    if (back) {
        w->ops.back(w->ops.opaque);
    }
    if (drop) {
        w->ops.drop(w->ops.opaque);
    }
    while ((job = QSIMPLEQ_FIRST(&finished))) {
        QSIMPLEQ_REMOVE_HEAD(&finished, next);
        job->delivered = true;
        w->ops.done(w->ops.opaque, job);
        if (job->co) {
            aio_co_wake(job->co);
        }
        tpm_job_unref(w, job);
    }
}

static void deliver_bh(void *opaque)
{
    deliver(opaque, true);
}

static bool wait_done(TpmWorker *w, const TpmJob *job, int64_t deadline)
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
    bool locked = bql_locked();
    bool done;

    assert(!qemu_in_coroutine());
    if (locked) {
        bql_unlock();
    }
    done = wait_done(w, job, deadline);
    if (locked) {
        bql_lock();
    }
    /* The bottom half may have been quicker */
    if (done && !job->delivered) {
        deliver(w, false);
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
    w->drop = false;
    qemu_mutex_unlock(&w->lock);
    if (old >= 0) {
        close(old);
    }
    wake(w);
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
static bool peer_closed(int fd)
{
    char byte;

    return fd < 0 || recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void tpm_worker_disconnect(TpmWorker *w)
{
    bool closed = peer_closed(w->link.ctrl);

    tpm_link_close(&w->link);
    qemu_mutex_lock(&w->lock);
    w->drop |= !closed && w->next_fd < 0;
    qemu_mutex_unlock(&w->lock);
    qemu_bh_schedule(w->bh);
}

void tpm_worker_lose(TpmWorker *w)
{
    qemu_mutex_lock(&w->lock);
    memcpy(w->reason, w->link.reason, sizeof(w->reason));
    w->report |= !w->info.lost;
    w->info.lost = true;
    w->back = false;
    qemu_mutex_unlock(&w->lock);
    qemu_bh_schedule(w->bh);
    w->silent = !w->link.down;
    /* A live connection is kept: what is owed may still come */
    if (w->reconnects && w->link.down) {
        tpm_worker_disconnect(w);
    }
}

/* Wait for a job; look after the connection meanwhile */
static void idle(TpmWorker *w)
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
        tpm_worker_lose(w);
    } else if (owed && w->info.lost && !tpm_link_owes(&w->link) &&
               !w->missed) {
        tpm_worker_recover(w);
    }
}

static TpmJob *next_job(TpmWorker *w, bool *quit)
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

static void finish(TpmWorker *w, TpmJob *job)
{
    qemu_mutex_lock(&w->lock);
    w->running = NULL;
    job->done = true;
    QSIMPLEQ_INSERT_TAIL(&w->finished, job, next);
    qemu_cond_broadcast(&w->cond);
    qemu_mutex_unlock(&w->lock);
    qemu_bh_schedule(w->bh);
}

static void *worker_thread(void *opaque)
{
    TpmWorker *w = opaque;
    bool quit = false;

    while (!quit) {
        TpmJob *job = next_job(w, &quit);

        if (job) {
            tpm_worker_run(w, job);
            finish(w, job);
        } else if (!quit) {
            idle(w);
        }
    }
    tpm_link_close(&w->link);
    qemu_mutex_lock(&w->lock);
    w->ended = true;
    qemu_cond_broadcast(&w->cond);
    qemu_mutex_unlock(&w->lock);
    return NULL;
}

/* Its thread has ended, or never begun */
static void worker_destroy(TpmWorker *w)
{
    qemu_bh_delete(w->bh);
    event_notifier_cleanup(&w->wake);
    qemu_cond_destroy(&w->cond);
    qemu_mutex_destroy(&w->lock);
    g_free(w);
}

TpmWorker *tpm_worker_new(const char *name, int64_t start_ms,
                          int64_t control_ms, bool reconnects,
                          const TpmWorkerOps *ops, Error **errp)
{
    TpmWorker *w = g_new0(TpmWorker, 1);
    int err = -event_notifier_init(&w->wake, 0);

    if (err) {
        error_setg_errno(errp, err, "no file descriptor for the TPM's thread");
        g_free(w);
        return NULL;
    }
    w->start_ms = start_ms;
    w->control_ms = control_ms;
    w->reconnects = reconnects;
    w->ops = *ops;
    w->next_fd = -1;
    tpm_link_init(&w->link, control_ms);
    qemu_mutex_init(&w->lock);
    qemu_cond_init(&w->cond);
    QSIMPLEQ_INIT(&w->queue);
    QSIMPLEQ_INIT(&w->finished);
    w->bh = aio_bh_new(qemu_get_aio_context(), deliver_bh, w);
    err = qemu_thread_try_create(&w->thread, name, worker_thread, w,
                                 QEMU_THREAD_JOINABLE);
    if (err) {
        error_setg_errno(errp, err, "the TPM's thread cannot be started");
        worker_destroy(w);
        return NULL;
    }
    return w;
}

static bool wait_ended(TpmWorker *w, int64_t deadline)
{
    bool ended;

    qemu_mutex_lock(&w->lock);
    w->quit = true;
    wake(w);
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
    tpm_job_unref(w, job);
    if (!wait_ended(w, deadline)) {
        return;
    }
    qemu_thread_join(&w->thread);
    while ((job = QSIMPLEQ_FIRST(&w->finished))) {
        QSIMPLEQ_REMOVE_HEAD(&w->finished, next);
        tpm_job_unref(w, job);
    }
    tpm_worker_connected(w, -1);
    worker_destroy(w);
}
