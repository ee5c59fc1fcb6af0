/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A made-up swtpm that misbehaves by a script
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * One thread serves both channels, as in swtpm.  Without rules it behaves well.
 * A script has one rule a line, the first unused one that fits acts:
 *
 *   version 2.0|1.2      caps HEX      buffer BYTES    established
 *   like 0.7|0.10        storage good|gone|full|locked|spoiled
 *   on connect [#N]: accept | refuse
 *   on ctrl NAME|any [#N|*]: ACTIONS       NAME as in CMD_NAME
 *   on data [cc HEX] [#N|*]: ACTIONS
 *   on idle MS: rubbish N [data] | close
 *
 * #N is the Nth that fits; * acts each time.  ACTIONS, those that make sense
 * together:
 *
 *   silent       no answer            close        close both channels instead
 *   delay MS     answer later         serial       and serve nothing meanwhile
 *   wait-cancel  answer once CMD_CANCEL_TPM_CMD came
 *   reply HEX    this answer          result HEX   an error's answer (ctrl)
 *   short N      only the answer's first N bytes
 *   rubbish N    N bytes 0xa5 instead of the answer
 *   extra N      N bytes 0xa5 behind the answer
 *   echo-size N  a header that tells N bytes, alone (data)
 *   oversize N   a response that has N bytes (data)
 */

#ifndef NEARMETAL_TPM_FAKE_H
#define NEARMETAL_TPM_FAKE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct TpmFake TpmFake;

/* NULL and a message in *@error (to be g_free()d) for a bad script */
TpmFake *tpm_fake_new(const char *script, char **error);

/*
 * More rules ("on ..."), which count from now on; they come before the others.
 * Also "storage ..."
 * Returns: NULL, or a message to be g_free()d
 */
char *tpm_fake_rule(TpmFake *f, const char *rules);

/* Disconnects, ends the thread and removes the socket */
void tpm_fake_free(TpmFake *f);

/* Connect without a socket's name.  Returns: the peer's end */
int tpm_fake_pair(TpmFake *f);

/* Accept one connection after the other.  Returns: false with errno set */
bool tpm_fake_listen(TpmFake *f, const char *path);

/* As SIGSTOP does; @frozen false: as SIGCONT */
void tpm_fake_freeze(TpmFake *f, bool frozen);

/*
 * What came so far, one a line: "connect", "ctrl NAME ARGUMENT" (hexadecimal,
 * none if it has none), "data TAG SIZE CODE", "partial N" for the bytes of an
 * incomplete command, "disconnect", "data closed".  To be g_free()d.
 */
char *tpm_fake_log(TpmFake *f);

/* Wait until @nth lines start with @line.  Returns: false after 60 seconds */
bool tpm_fake_wait(TpmFake *f, const char *line, unsigned nth);

/* Write the log there, too */
void tpm_fake_log_to(TpmFake *f, FILE *file);

/* Wait until CMD_SHUTDOWN ended it */
void tpm_fake_join(TpmFake *f);

#endif
