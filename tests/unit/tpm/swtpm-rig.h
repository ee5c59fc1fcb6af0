/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * An installed swtpm, at the end of a socket
 */
#ifndef NEARMETAL_UNIT_SWTPM_RIG_H
#define NEARMETAL_UNIT_SWTPM_RIG_H

#include <glib.h>
#include <stdbool.h>

typedef struct Swtpm {
    GPid pid;
    int fd;                 /* its control channel */
    char *dir;              /* its state */
} Swtpm;

/* $SWTPM or one in $PATH.  Returns: NULL if there is none, to be g_free()d */
char *swtpm_program(void);

/* Of @program, as "0.7.1"; NULL if it does not tell */
char *swtpm_version(const char *program);

/* @dir: its state, NULL: a new one, which is removed by swtpm_stop() */
Swtpm *swtpm_start(const char *program, const char *dir);
void swtpm_stop(Swtpm *t);

/* Let it write no further byte to any file */
void swtpm_fill_disk(Swtpm *t);

/* Remove the state directory */
void swtpm_remove_dir(Swtpm *t);

#endif
