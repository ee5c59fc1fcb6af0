/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The made-up swtpm's rules
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifndef NEARMETAL_TPM_FAKE_SCRIPT_H
#define NEARMETAL_TPM_FAKE_SCRIPT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "tpm-answers.h"
#ifdef NATIVE_UNIT_TEST
#include "hw/tpm/tpm-io.h"
#include "hw/tpm/tpm-wire.h"
#else
#include "hw/nearmetal/tpm/tpm-io.h"
#include "hw/nearmetal/tpm/tpm-wire.h"
#endif

typedef enum FakeOn {
    FAKE_ON_CONNECT,
    FAKE_ON_CTRL,
    FAKE_ON_DATA,
    FAKE_ON_IDLE,
} FakeOn;

typedef struct FakeRule {
    FakeOn on;
    uint32_t what;          /* number of the message or command, 0: any */
    unsigned nth;           /* 0: the first */
    bool every;
    bool used;
    unsigned seen;
    int64_t idle_ms;

    bool refuse;
    bool silent;
    bool close;
    bool serial;
    bool wait_cancel;
    bool to_data;           /* rubbish when idle */
    int64_t delay_ms;
    bool cut;               /* to @cut_to bytes */
    uint64_t cut_to;
    uint64_t rubbish;
    uint64_t extra;
    uint64_t oversize;
    bool has_size;
    uint32_t size;          /* echo-size */
    GByteArray *reply;
} FakeRule;

typedef struct FakeScript {
    bool old;               /* TPM 1.2 */
    bool newer;             /* swtpm 0.10 */
    bool established;
    uint32_t caps;
    uint32_t buffer;
    bool has_storage;
    TpmAt storage;
    GPtrArray *rules;
} FakeScript;

/* NULL, and the message in *@error, for a script that cannot be read */
FakeScript *fake_script_parse(const char *text, char **error);
void fake_script_free(FakeScript *s);

/* Put the rules of @more before those of @s; @more is freed */
void fake_script_prepend(FakeScript *s, FakeScript *more);

/* The rule that acts, which is used up; or NULL */
FakeRule *fake_script_match(FakeScript *s, FakeOn on, uint32_t what);

/* What @rule makes of @answer */
void fake_rule_apply(const FakeRule *rule, GByteArray *answer);

#endif
