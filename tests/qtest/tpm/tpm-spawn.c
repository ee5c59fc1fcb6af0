/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A QEMU with a TPM that is expected to end by itself, and to say why
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "tpm-spawn.h"

#define WAIT_US (60 * G_USEC_PER_SEC)
#define PAUSE_US 10000

static char *command_of(const TpmSpawn *s, const char *path, const char *said)
{
    const TpmFront *front = s->front;
    g_autofree char *chardev = s->chardev ? g_strdup(s->chardev) :
        g_strdup_printf("socket,id=chr,path=%s", path);

    return g_strdup_printf("exec %s -accel qtest -display none -nodefaults %s "
                           "-chardev %s "
                           "-tpmdev emulator,id=tpm0,chardev=chr%s "
                           "-device %s,tpmdev=tpm0%s %s >/dev/null 2>%s",
                           g_getenv("QTEST_QEMU_BINARY"), front->machine,
                           chardev, s->tpmdev ?: "", front->device,
                           front->options, s->args ?: "", said);
}

static pid_t spawn(const char *command)
{
    pid_t pid = fork();

    g_assert_cmpint(pid, >=, 0);
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    return pid;
}

static int await_end(pid_t pid)
{
    int64_t until = g_get_monotonic_time() + WAIT_US;
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (g_get_monotonic_time() > until) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            g_error("QEMU did not end");
        }
        g_usleep(PAUSE_US);
    }
    return status;
}

char *tpm_spawn_refused(const TpmSpawn *s)
{
    g_autofree char *dir = g_dir_make_tmp("tpm-spawn.XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "tpm", NULL);
    g_autofree char *file = g_build_filename(dir, "stderr", NULL);
    g_autofree char *command = command_of(s, path, file);
    char *error = NULL, *said;
    TpmFake *fake = tpm_fake_new(s->script ?: "", &error);
    int status;

    g_assert_cmpstr(error, ==, NULL);
    g_assert_true(tpm_fake_listen(fake, path));
    status = await_end(spawn(command));
    g_assert_true(g_file_get_contents(file, &said, NULL, NULL));
    g_test_message("%s", g_strchomp(said));
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    g_assert_cmpstr(said, !=, "");
    tpm_fake_free(fake);
    g_unlink(file);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
    return said;
}
