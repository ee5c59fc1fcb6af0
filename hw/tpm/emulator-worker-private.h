/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the files of TpmWorker
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Calls go one way: emulator-run.c, which is the thread, to emulator-worker.c,
 * what it shares with the others.
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
    bool silent;            /* lost for want of an answer: it may still come */
    bool missed;            /* the guest gave a command since it was lost */
    bool restart;           /* its last start did not come to its end */
    uint32_t restart_buffer;    /* what that was asked for */
    bool restart_init;

    /* Written by the thread, read by all: qatomic */
    bool established;

    /* A leaf: nothing else is taken under it.  The thread alone writes info */
    QemuMutex lock;
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
    bool disconnect;        /* the character device still holds it */
    char reason[160];
};

/* Without the thread; in the thread that creates and frees it, with the BQL */
TpmWorker *tpm_worker_alloc(const TpmWorkerOps *ops, Error **errp);
void tpm_worker_destroy(TpmWorker *w);

/* All below: in the thread, without a lock */

/* Take the next job; NULL: there is none.  *@quit: nor will there be one */
TpmJob *tpm_worker_take(TpmWorker *w, bool *quit);
void tpm_worker_finish(TpmWorker *w, TpmJob *job);

/* It is about to end */
void tpm_worker_ended(TpmWorker *w);

/* What is wanted of @job: TPM_REQ_x */
unsigned tpm_worker_requests(TpmWorker *w, const TpmJob *job);

/* It is lost, for the reason in the link, unless that was told already */
void tpm_worker_set_lost(TpmWorker *w);

/* It is well; @back: that is to be told, as it was lost for a moment only */
void tpm_worker_set_well(TpmWorker *w, bool back);

/*
 * Close the connection, as another one will follow.  The TPM takes that only
 * when this one is closed, on the character device's side too.
 */
void tpm_worker_disconnect(TpmWorker *w);

/* The next connection, -1 if there is none until @deadline */
int tpm_worker_next_fd(TpmWorker *w, int64_t deadline);

#endif
