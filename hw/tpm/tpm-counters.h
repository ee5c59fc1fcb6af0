/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters of a TPM's commands
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic: no QEMU headers.  The owner, and every reader, holds the BQL.
 */

#ifndef NEARMETAL_TPM_COUNTERS_H
#define NEARMETAL_TPM_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct TpmTally {
    uint64_t commands;      /* the guest's, malformed ones too */
    uint64_t answered;      /* those that ended with a response */
    uint64_t errors;        /* those QEMU itself answered with an error */
    uint64_t cancels;       /* commands that were asked to be cancelled */
    uint64_t bytes_in;      /* of commands */
    uint64_t bytes_out;     /* of responses */
    uint64_t busy_ns;       /* sum of all latencies */
    uint64_t peak_ns;       /* the longest one */

    /* of the command that runs */
    bool running;
    bool cancelled;
    int64_t begun_ns;
} TpmTally;

/* A command of @bytes is taken, at @now_ns of a clock that never goes back */
void tpm_tally_begin(TpmTally *t, size_t bytes, int64_t now_ns);

/* Its response of @bytes is there; @error: QEMU's own.  No command: ignored */
void tpm_tally_end(TpmTally *t, size_t bytes, bool error, int64_t now_ns);

/* A cancel is asked for: counted once for each command, never without one */
void tpm_tally_cancel(TpmTally *t);

/* The machine was reset: nobody waits for the response any more */
void tpm_tally_abandon(TpmTally *t);

/* 0 before the first response */
uint64_t tpm_tally_mean_ns(const TpmTally *t);

#endif
