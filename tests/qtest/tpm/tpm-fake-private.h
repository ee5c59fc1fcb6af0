/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The made-up swtpm, inside
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifndef NEARMETAL_TPM_FAKE_PRIVATE_H
#define NEARMETAL_TPM_FAKE_PRIVATE_H

#include "tpm-fake.h"
#include "tpm-fake-script.h"
#include "tpm-fake-tpm.h"

/* An answer that is not sent yet */
typedef struct Pending {
    GByteArray *bytes;      /* NULL: none */
    int64_t due;
    bool serial;
    bool wait_cancel;
} Pending;

struct TpmFake {
    /* The thread's */
    FakeScript *script;
    FakeTpm tpm;
    int listener;
    int ctrl;
    int data;
    Pending ctrl_answer;
    Pending data_answer;
    GByteArray *command;    /* what came of it */
    int64_t active_at;
    char *path;
    GThread *thread;

    int wake[2];            /* pipe: any byte ends a wait */
    GMutex lock;            /* protects what follows */
    GCond changed;
    GString *log;
    FILE *log_file;
    int next_ctrl;          /* of tpm_fake_pair(), -1: none */
    int next_listener;
    FakeScript *next_rules; /* NULL: none */
    bool frozen;
    bool is_frozen;         /* the thread has seen it */
    bool stop;
};

void fake_close(int *fd);

/* Serves until TpmFake.stop */
void *fake_thread(void *opaque);

#endif
