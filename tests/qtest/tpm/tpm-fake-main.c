/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A made-up swtpm that misbehaves by a script, as a program
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifdef NATIVE_UNIT_TEST
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#else
#include "qemu/osdep.h"
#endif
#include "tpm-fake.h"

static char *opt_socket, *opt_script, *opt_log;

static const GOptionEntry options[] = {
    { "socket", 's', 0, G_OPTION_ARG_FILENAME, &opt_socket,
      "Unix socket to make, for -chardev socket,path=PATH", "PATH" },
    { "script", 'f', 0, G_OPTION_ARG_FILENAME, &opt_script,
      "Rules, see tpm-fake.h; none: behave well", "FILE" },
    { "log", 'l', 0, G_OPTION_ARG_FILENAME, &opt_log,
      "Write down what comes; default is standard output", "FILE" },
    { 0 }
};

static int G_GNUC_PRINTF(1, 2) fail(const char *fmt, ...)
{
    va_list ap;

    fputs("nearmetal-tpm-fake: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return EXIT_FAILURE;
}

static int serve(const char *script, FILE *log)
{
    char *error = NULL;
    TpmFake *f = tpm_fake_new(script, &error);

    if (!f) {
        return fail("--script %s: %s", opt_script, error);
    }
    tpm_fake_log_to(f, log);
    if (!tpm_fake_listen(f, opt_socket)) {
        return fail("--socket %s: %s", opt_socket, strerror(errno));
    }
    /* Until CMD_SHUTDOWN, or a signal */
    tpm_fake_join(f);
    tpm_fake_free(f);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *script = g_strdup("");
    FILE *log = stdout;

    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        return fail("%s", error->message);
    }
    if (!opt_socket || argc > 1) {
        return fail("--socket PATH is needed, and nothing but options");
    }
    if (opt_script) {
        g_clear_pointer(&script, g_free);
        if (!g_file_get_contents(opt_script, &script, NULL, &error)) {
            return fail("--script: %s", error->message);
        }
    }
    if (opt_log) {
        log = fopen(opt_log, "w");
        if (!log) {
            return fail("--log %s: %s", opt_log, strerror(errno));
        }
    }
    return serve(script, log);
}
