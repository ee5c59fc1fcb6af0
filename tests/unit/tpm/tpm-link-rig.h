/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A connection to a swtpm that misbehaves as it is told
 *
 * A deadline that must pass is short; one that must not is FAR away, so that a
 * busy host changes nothing.
 */
#ifndef NEARMETAL_UNIT_TPM_LINK_RIG_H
#define NEARMETAL_UNIT_TPM_LINK_RIG_H

#include <glib.h>
#include "hw/tpm/tpm-link.h"
#include "tests/qtest/tpm/tpm-fake.h"

#define SHORT   200
#define FAR     60000

typedef struct Rig {
    TpmFake *fake;
    TpmLink l;
    unsigned requests;      /* what poll_requests() answers */
    enum {
        PATIENT,
        HURRY,              /* control-timeout gets short in the command */
        HURRY_ANSWERED,     /* and only once the cancel was answered */
    } mood;
    TpmLinkOps ops;
    int wake[2];
    uint8_t out[4096];
    size_t out_len;
} Rig;

static inline int64_t in_ms(int64_t ms)
{
    return tpm_io_now() + ms;
}

/* @script: what the swtpm does, see tpm-fake.h; nothing was asked yet */
Rig *rig_new(const char *script);

/* It was asked for its version and its capabilities */
Rig *rig_probed(const char *script);

/* Its TPM takes commands */
Rig *rig_started(const char *script);

void rig_free(Rig *r);

/* One PCR_Read, from locality 0; its response, of 62 bytes, is in @r->out */
TpmCmdResult rig_command(Rig *r);

TpmCmdResult rig_command_at(Rig *r, uint8_t locality);

/* A command gets its response, and no answer is outstanding */
void rig_assert_works(Rig *r);

/* Why something failed has this in it */
void rig_assert_reason(Rig *r, const char *part);

/* The swtpm was asked this, or was not, as @there says */
void rig_assert_log(Rig *r, const char *part, bool there);

#endif
