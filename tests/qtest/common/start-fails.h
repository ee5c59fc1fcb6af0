/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#ifndef NEARMETAL_QTEST_START_FAILS_H
#define NEARMETAL_QTEST_START_FAILS_H

#include <sys/wait.h>

/* What the emulator says on stderr, which must refuse to start with @args */
static inline char *start_fails(const char *args)
{
    g_autofree char *command = g_strdup_printf("%s -display none %s",
        g_getenv("QTEST_QEMU_BINARY"), args);
    char *text = NULL;
    int status = 0;

    g_assert_true(g_spawn_command_line_sync(command, NULL, &text, &status,
                                            NULL));
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    return text;
}

#endif
