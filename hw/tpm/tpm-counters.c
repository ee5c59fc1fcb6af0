/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters of a TPM's commands
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "tpm-counters.h"

void tpm_tally_begin(TpmTally *t, size_t bytes, int64_t now_ns)
{
    t->commands++;
    t->bytes_in += bytes;
    t->running = true;
    t->cancelled = false;
    t->begun_ns = now_ns;
}

void tpm_tally_end(TpmTally *t, size_t bytes, bool error, int64_t now_ns)
{
    uint64_t took;

    if (!t->running) {
        return;
    }
    took = now_ns > t->begun_ns ? now_ns - t->begun_ns : 0;
    t->running = false;
    t->answered++;
    t->errors += error;
    t->bytes_out += bytes;
    t->busy_ns += took;
    if (took > t->peak_ns) {
        t->peak_ns = took;
    }
}

void tpm_tally_cancel(TpmTally *t)
{
    if (t->running && !t->cancelled) {
        t->cancelled = true;
        t->cancels++;
    }
}

void tpm_tally_abandon(TpmTally *t)
{
    t->running = false;
}

uint64_t tpm_tally_mean_ns(const TpmTally *t)
{
    return t->answered ? t->busy_ns / t->answered : 0;
}
