/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A QMP client that asks all the time, to see that QEMU always answers
 */
#ifndef NEARMETAL_TPM_ASK_H
#define NEARMETAL_TPM_ASK_H

#include <glib.h>

/* An answer that takes longer comes from a QEMU that waited for its TPM */
#define TPM_ASK_LIMIT_MS 5000

typedef struct TpmAsk TpmAsk;

/* @path: of the QMP socket.  The program aborts if QEMU is silent for 30 s */
TpmAsk *tpm_ask_start(const char *path);

/* Wait for @n answers to what is asked from now on; they must be in time */
void tpm_ask_more(TpmAsk *a, unsigned n);

/* Ends it.  All answers must have been in time */
void tpm_ask_stop(TpmAsk *a);

#endif
