/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A machine with any kind of TPM, whose backend is the scripted tpm-fake.h
 */
#ifndef NEARMETAL_TPM_RIG_H
#define NEARMETAL_TPM_RIG_H

#include "libqtest.h"
#include "tpm-ask.h"
#include "tpm-fake.h"

/* Timeouts that no busy host reaches, and such that do not hold a test up */
#define TPM_PATIENT ",start-timeout=60000,control-timeout=20000"
#define TPM_HASTY   ",start-timeout=3000,control-timeout=500"

typedef enum TpmKind {
    TPM_KIND_TIS,
    TPM_KIND_CRB,
    TPM_KIND_I2C,
} TpmKind;

/* A device that a guest sees as its TPM */
typedef struct TpmFront {
    const char *device;
    const char *machine;    /* options */
    const char *options;    /* of the device */
    TpmKind kind;
    uint64_t base;          /* of its registers; of the bus for i2c */
    uint32_t limit;         /* bytes that its buffer has room for */
    bool ours;              /* not in stock QEMU */
    bool old;               /* also TPM 1.2 */
} TpmFront;

typedef struct TpmRigOptions {
    const char *var;        /* environment variable with the binary, or NULL */
    const char *script;     /* of the fake, or NULL */
    const char *tpmdev;     /* ",option=..." or NULL */
    const char *chardev;    /* the same */
    const char *args;       /* more arguments, or NULL */
    bool mute;              /* without the client that asks all the time */
} TpmRigOptions;

typedef struct TpmRig {
    const TpmFront *front;
    QTestState *qts;
    TpmFake *fake;          /* NULL: killed */
    TpmAsk *ask;
    GPtrArray *events;      /* QDict */
    char *dir;
    char *path;             /* the fake's socket */
} TpmRig;

/* Those that the tested binary has; ends with one without a device */
const TpmFront *tpm_fronts(void);

/* qtest_add_data_func(@path/device) for each of tpm_fronts() */
void tpm_front_add(const char *path, GTestDataFunc fn);

TpmRig *tpm_rig_start(const TpmFront *front, const TpmRigOptions *options);

/* QEMU must end by itself when asked to, and must have answered all the time */
void tpm_rig_stop(TpmRig *r);

/* The backend dies; another one at the same address */
void tpm_rig_kill_fake(TpmRig *r);
void tpm_rig_new_fake(TpmRig *r, const char *script);

/* tpm_fake_rule() that must be right */
void G_GNUC_PRINTF(2, 3) tpm_rig_rule(TpmRig *r, const char *fmt, ...);

/* Bytes of how many commands reached the backend, whole or not */
unsigned tpm_rig_reached(TpmRig *r);

/* query-tpm's answer for the TPM, to be unreferenced */
QDict *tpm_rig_info(TpmRig *r);

/* Wait for query-tpm to tell this state.  It must be told within 60 seconds */
void tpm_rig_await_state(TpmRig *r, const char *state);
void tpm_rig_assert_state(TpmRig *r, const char *state);

/* Reset the guest and wait until it was */
void tpm_rig_reset(TpmRig *r);

/* How many events of this name came so far */
unsigned tpm_rig_events(TpmRig *r, const char *name);

/* Wait until @n of them came.  Returns: data of the last, not to be freed */
QDict *tpm_rig_await_events(TpmRig *r, const char *name, unsigned n);

/* Wait until the TPM is lost for the @n th time, which is told once */
void tpm_rig_await_loss(TpmRig *r, unsigned n);

/* Start a migration.  Returns: NULL, or the reason it was refused with */
char *tpm_rig_migrate(TpmRig *r, const char *uri);

/*
 * Wait for the end of a migration.  Returns: NULL if it was completed, else
 * the reason, or its state if there is none; to be freed
 */
char *tpm_rig_migrated(TpmRig *r);

/* One of the guest's TPM's registers at a time: tpm-regs.c */

/* Take locality 0, and be ready for a command */
void tpm_regs_take(TpmRig *r);

/* Write bytes of a command, one at a time */
void tpm_regs_write(TpmRig *r, const void *bytes, size_t len);

/* The same, 4 at a time, and so maybe more than @len */
void tpm_regs_write_words(TpmRig *r, const void *bytes, size_t len);

/* Does the TPM want more bytes?  Never so for CRB */
bool tpm_regs_expects(TpmRig *r);

void tpm_regs_go(TpmRig *r);
void tpm_regs_cancel(TpmRig *r);

/* Is there a response? */
bool tpm_regs_done(TpmRig *r);
void tpm_regs_wait(TpmRig *r);

/* Read the next @len bytes, which for CRB is from @at on */
void tpm_regs_read(TpmRig *r, uint8_t *bytes, size_t at, size_t len);

/* Read a whole response.  Returns: its size, at most @max */
size_t tpm_regs_response(TpmRig *r, uint8_t *bytes, size_t max);

/* A command from its start to its response, as tpm_regs_response() */
size_t tpm_run(TpmRig *r, const void *cmd, size_t len, uint8_t *rsp,
               size_t max);

/* A response of 10 bytes.  Returns: its code, its tag is right */
uint32_t tpm_error_response(TpmRig *r);

/* A command that the fake knows; with what it answers when it behaves */
typedef struct TpmGood {
    const uint8_t *cmd;
    size_t cmd_len;
    size_t rsp_len;
} TpmGood;

const TpmGood *tpm_good(TpmRig *r);

/* Start it, without waiting */
void tpm_good_start(TpmRig *r);

/* Start it, and wait until the backend has got it */
void tpm_good_start_heard(TpmRig *r);

/* Its response is here, and right */
void tpm_good_check(TpmRig *r);

/* Both: the TPM works */
void tpm_good_run(TpmRig *r);

/* Start it, and it must be answered by this error */
void tpm_bad_run(TpmRig *r, uint32_t code);

/* Codes of error responses in the version of the TPM */
uint32_t tpm_code_size(TpmRig *r);
uint32_t tpm_code_failed(TpmRig *r);

#endif
