/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A QEMU with a TPM that is expected to end by itself, and to say why
 */
#ifndef NEARMETAL_TPM_SPAWN_H
#define NEARMETAL_TPM_SPAWN_H

#include "tpm-rig.h"

typedef struct TpmSpawn {
    const TpmFront *front;
    const char *script;     /* of the fake, or NULL */
    const char *chardev;    /* NULL: a socket to the fake; its id is chr */
    const char *tpmdev;     /* ",option=..." or NULL */
    const char *args;       /* more arguments, or NULL */
} TpmSpawn;

/*
 * It must end with status 1 within 60 seconds.
 * Returns: what it wrote to standard error, to be freed
 */
char *tpm_spawn_refused(const TpmSpawn *s);

#endif
