/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the files of TpmWorker
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_EMULATOR_WORKER_PRIVATE_H
#define NEARMETAL_TPM_EMULATOR_WORKER_PRIVATE_H

#include "qemu/event_notifier.h"
#include "qemu/thread.h"
#include "emulator-worker.h"

struct TpmWorker {
    /* Constant */
    int64_t start_ms;
    int64_t control_ms;
    bool reconnects;
    TpmWorkerOps ops;
    QemuThread thread;
    QEMUBH *bh;
    EventNotifier wake;

    /* The thread's own */
    TpmLink link;
    bool probed;            /* version and caps are those of the first probe */
    bool silent;            /* lost for want of an answer, which may still come */
    bool missed;            /* the guest gave a command since it was lost */
    bool restart;           /* its last start did not come to its end */
    uint32_t restart_buffer;    /* what that was asked for */
    bool restart_init;

    /* Written by the thread, read by all: qatomic */
    bool established;

    QemuMutex lock;         /* a leaf: nothing else is taken under it */
    QemuCond cond;          /* a job is done, or the thread has ended */
    QSIMPLEQ_HEAD(, TpmJob) queue;
    QSIMPLEQ_HEAD(, TpmJob) finished;
    TpmJob *running;
    int next_fd;            /* connection to be taken next, or -1 */
    bool quit;
    bool ended;
    TpmWorkerInfo info;     /* but busy */
    bool report;            /* a loss has not been told */
    bool back;              /* nor that it was none */
    bool drop;              /* the character device still holds it */
    char reason[160];
};

/* In the thread: carry out @job */
void tpm_worker_run(TpmWorker *w, TpmJob *job);

/* In the thread: the backend is lost, for the reason in the link */
void tpm_worker_lose(TpmWorker *w);

/*
 * In the thread: what was owed has come, though it was lost already, and the
 * guest has not noticed
 */
void tpm_worker_recover(TpmWorker *w);

/*
 * In the thread: close the connection, as another one will follow.  The TPM
 * takes that only when this one is closed, on the character device's side too.
 */
void tpm_worker_disconnect(TpmWorker *w);

/* In the thread: the next connection, -1 if there is none until @deadline */
int tpm_worker_next_fd(TpmWorker *w, int64_t deadline);

unsigned tpm_worker_requests(TpmWorker *w, const TpmJob *job);

#endif
