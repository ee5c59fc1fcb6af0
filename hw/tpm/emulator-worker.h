/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that talks to swtpm
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * It alone owns the connection (TpmLink) and waits for it, and never takes the
 * BQL.  The rest of QEMU gives it jobs and is told of their end by a bottom
 * half in the main thread, or waits with the BQL dropped.  Whoever calls a
 * function of this header holds the BQL, in any thread but this one.
 * Each job ends: all of them have deadlines, but for a command, which ends
 * within two control timeouts after it was asked to.  A deadline that passes
 * ends the job, not the connection: the next job takes the late answer first.
 */
#ifndef NEARMETAL_TPM_EMULATOR_WORKER_H
#define NEARMETAL_TPM_EMULATOR_WORKER_H

#include "qemu/coroutine.h"
#include "qemu/queue.h"
#include "tpm-link.h"

/* Largest part of a TPM's state that is sent or taken in a migration, bytes */
#define TPM_BLOB_MAX    (1024 * 1024)

/* Types as in tpm_ioctl.h: PTM_BLOB_TYPE_x less 1 */
#define TPM_BLOBS       3

typedef struct TpmBlob {
    uint32_t flags;
    uint32_t size;
    uint8_t *data;
} TpmBlob;

typedef enum TpmJobKind {
    TPM_JOB_PROBE,              /* find out what a new connection leads to */
    TPM_JOB_START,              /* power on, as after a reset */
    TPM_JOB_COMMAND,
    TPM_JOB_RESET_ESTABLISHED,
    TPM_JOB_SAVE,               /* fetch the state */
    TPM_JOB_RESTORE,            /* load it and go on */
    TPM_JOB_LOCK_STORAGE,
    TPM_JOB_PING,               /* does it answer? */
    TPM_JOB_SHUTDOWN,
} TpmJobKind;

typedef struct TpmJob {
    TpmJobKind kind;

    /* Given by who submits it; the worker's until the job is done */
    uint32_t buffer_size;       /* START: wanted, then what it is */
    int64_t deadline;           /* PROBE; 0: start_ms from now */
    bool init;                  /* START: false: the state is yet to come */
    uint8_t locty;
    uint8_t *in;                /* COMMAND */
    size_t in_len;
    uint8_t *out;
    size_t out_max;
    size_t out_len;
    TpmBlob blobs[TPM_BLOBS];   /* SAVE, RESTORE */

    /* Of the result, valid when it is done */
    bool ok;
    TpmWireFault fault;         /* COMMAND that is not ok: what to answer */
    char error[160];
    bool skipped;               /* it never ran: cancelled, or a reset came */

    /* TpmWorker.lock */
    unsigned requests;          /* TPM_REQ_x */
    bool done;
    QSIMPLEQ_ENTRY(TpmJob) next;

    /* The BQL */
    unsigned refs;
    bool delivered;
    Coroutine *co;              /* to be entered when it is delivered */
} TpmJob;

typedef struct TpmWorker TpmWorker;

typedef struct TpmWorkerOps {
    /* All under the BQL, in the main thread; @done also in one that waits */
    void (*done)(void *opaque, TpmJob *job);
    void (*lost)(void *opaque, const char *reason);
    /* It is not lost after all: the answer came late */
    void (*back)(void *opaque);
    /* End the character device's connection */
    void (*disconnect)(void *opaque);
    void *opaque;
} TpmWorkerOps;

/* What is known of the backend, as of now */
typedef struct TpmWorkerInfo {
    bool lost;
    bool busy;
    TpmWireVersion version;
    uint32_t caps;              /* TPM_CTL_CAP_x */
    uint32_t buffer_size;       /* the TPM's own */
} TpmWorkerInfo;

/**
 * tpm_worker_new:
 * @name: of the thread
 * @start_ms: deadline for PROBE and START as a whole
 * @control_ms: deadline for each answer on the control channel
 * @reconnects: a closed connection may be followed by another one
 *
 * Returns: NULL if there is no thread or file descriptor to be had
 */
TpmWorker *tpm_worker_new(const char *name, int64_t start_ms,
                          int64_t control_ms, bool reconnects,
                          const TpmWorkerOps *ops, Error **errp);

/*
 * Shut the TPM down if it is not lost, and end the thread.  Takes a second at
 * most; a thread that is stuck for longer is left behind.
 */
void tpm_worker_free(TpmWorker *w);

/* A fresh connection, to be used by the next PROBE or START; -1: it is gone */
void tpm_worker_connected(TpmWorker *w, int fd);

/* With one reference, for the caller */
TpmJob *tpm_job_new(TpmJobKind kind);
void tpm_job_ref(TpmJob *job);
void tpm_job_unref(TpmJob *job);

/* Carry out @job after those given before */
void tpm_worker_submit(TpmWorker *w, TpmJob *job);

/* @req: TPM_REQ_x.  A job that has not begun, then, is skipped in its turn */
void tpm_worker_request(TpmWorker *w, TpmJob *job, unsigned req);

/* End jobs that have not begun, not ok.  The one that runs goes on */
void tpm_worker_flush(TpmWorker *w);

/**
 * tpm_worker_wait: wait until @job is done, with the BQL dropped
 * @ms: at most; TPM_IO_NEVER: as long as it takes
 *
 * A coroutine does so for a moment only: it holds the main loop.
 * Returns: whether it is done and delivered
 */
bool tpm_worker_wait(TpmWorker *w, TpmJob *job, int64_t ms);

void tpm_worker_info(TpmWorker *w, TpmWorkerInfo *info);
bool tpm_worker_lost(TpmWorker *w);
bool tpm_worker_established(TpmWorker *w);

#endif
