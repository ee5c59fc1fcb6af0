/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * An installed swtpm, at the end of a socket
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "swtpm-rig.h"

char *swtpm_program(void)
{
    const char *own = g_getenv("SWTPM");

    return own ? g_strdup(own) : g_find_program_in_path("swtpm");
}

char *swtpm_version(const char *program)
{
    const char *argv[] = { program, "--version", NULL };
    g_autofree char *said = NULL;
    g_auto(GStrv) words = NULL;

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL,
                      NULL, &said, NULL, NULL, NULL)) {
        return NULL;
    }
    words = g_strsplit(said, "version ", 2);
    return words[0] && words[1] ? g_strndup(words[1], strcspn(words[1], ", "))
                                : NULL;
}

/* In the child: it ends with us, and a full disk is an error, not a signal */
static void child_setup(gpointer opaque)
{
    int *fd = opaque;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    signal(SIGXFSZ, SIG_IGN);
    fcntl(*fd, F_SETFD, 0);
}

Swtpm *swtpm_start(const char *program, const char *dir)
{
    Swtpm *t = g_new0(Swtpm, 1);
    g_autofree char *state = NULL, *ctrl = NULL;
    g_autoptr(GError) error = NULL;
    int fds[2];

    t->dir = dir ? g_strdup(dir) : g_dir_make_tmp("swtpm-rig.XXXXXX", NULL);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
                    ==, 0);
    state = g_strdup_printf("dir=%s", t->dir);
    ctrl = g_strdup_printf("type=unixio,clientfd=%d", fds[1]);
    {
        const char *argv[] = { program, "socket", "--tpm2", "--tpmstate",
                               state, "--ctrl", ctrl, NULL };

        if (!g_spawn_async(NULL, (char **)argv, NULL,
                           G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH |
                           G_SPAWN_LEAVE_DESCRIPTORS_OPEN |
                           G_SPAWN_STDOUT_TO_DEV_NULL |
                           G_SPAWN_STDERR_TO_DEV_NULL,
                           child_setup, &fds[1], &t->pid, &error)) {
            g_error("%s: %s", program, error->message);
        }
    }
    close(fds[1]);
    t->fd = fds[0];
    return t;
}

static void clear_dir(const char *path)
{
    GDir *d = g_dir_open(path, 0, NULL);
    const char *name;

    while (d && (name = g_dir_read_name(d))) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        g_unlink(file);
    }
    if (d) {
        g_dir_close(d);
    }
    g_rmdir(path);
}

void swtpm_stop(Swtpm *t)
{
    close(t->fd);
    kill(t->pid, SIGKILL);
    while (waitpid(t->pid, NULL, 0) < 0 && errno == EINTR) {
        /* again */
    }
    clear_dir(t->dir);
    g_free(t->dir);
    g_free(t);
}

void swtpm_fill_disk(Swtpm *t)
{
    const struct rlimit none = { 0, 0 };

    g_assert_cmpint(prlimit(t->pid, RLIMIT_FSIZE, &none, NULL), ==, 0);
}

void swtpm_remove_dir(Swtpm *t)
{
    clear_dir(t->dir);
}
