/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket through which a test controls the stand-in for VFIO
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "vfio-standin.h"

StandinDevice *standin_find(StandinState *s, const char *name)
{
    for (unsigned i = 0; i < s->devices; i++) {
        if (!strcmp(s->device[i].name, name)) {
            return &s->device[i];
        }
    }
    return NULL;
}

static const char *fire(StandinState *s, const char *args)
{
    char name[STANDIN_NAME], index[8];
    StandinDevice *d;
    unsigned vector;

    if (sscanf(args, "%15s %7s %u", name, index, &vector) != 3) {
        return "expected: fire ADDRESS KIND VECTOR";
    }
    d = standin_find(s, name);
    return d ? standin_fire(d, index, vector) : "no such device";
}

/* Returns: NULL, or what is wrong */
static const char *run(StandinState *s, const char *line, FILE *out)
{
    if (!strcmp(line, "status")) {
        standin_iommu_status(out);
        standin_devices_status(s, out);
        return NULL;
    }
    if (!strncmp(line, "fire ", 5)) {
        return fire(s, line + 5);
    }
    if (!strncmp(line, "fail ", 5)) {
        return standin_fail_add(line + 5) ? NULL :
               "expected: fail IOCTL:ERRNO[:COUNT[:SKIP]]";
    }
    return "no such command";
}

static void answer(StandinState *s, const char *line, int fd)
{
    char *text = NULL;
    size_t len = 0, done = 0;
    FILE *out = open_memstream(&text, &len);
    const char *error;

    standin_lock();
    error = run(s, line, out);
    standin_unlock();
    fprintf(out, "%s%s\n", error ? "error: " : "ok", error ? error : "");
    fclose(out);
    while (done < len) {
        ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL);

        if (n <= 0) {
            break;
        }
        done += n;
    }
    free(text);
}

static void serve_one(StandinState *s, int fd)
{
    char line[256];
    size_t len = 0;

    while (len < sizeof(line) - 1) {
        ssize_t n = read(fd, line + len, sizeof(line) - 1 - len);

        if (n <= 0) {
            return;
        }
        len += n;
        line[len] = '\0';
        if (strchr(line, '\n')) {
            *strchr(line, '\n') = '\0';
            answer(s, line, fd);
            return;
        }
    }
}

typedef struct Listener {
    StandinState *s;
    int fd;
} Listener;

static void *serve(void *opaque)
{
    Listener *l = opaque;

    for (;;) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0) {
            serve_one(l->s, fd);
            close(fd);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return NULL;
        }
    }
}

static int listen_at(const char *dir)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control", dir) >=
        (int)sizeof(addr.sun_path)) {
        return -1;
    }
    unlink(addr.sun_path);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8)) {
        return -1;
    }
    return fd;
}

void standin_control_start(StandinState *s)
{
    static Listener listener;
    sigset_t all, old;
    pthread_t thread;

    listener = (Listener) { s, listen_at(s->dir) };
    if (listener.fd < 0) {
        fprintf(stderr, "vfio-standin: cannot listen at %s/control\n", s->dir);
        _exit(1);
    }
    /* Signals are for QEMU's own threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_create(&thread, NULL, serve, &listener);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}
