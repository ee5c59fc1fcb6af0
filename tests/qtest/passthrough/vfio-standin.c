/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stand-in for VFIO: functions of the C library that take a descriptor
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Descriptors that are not of this library go on to the C library's function.
 */

#include "vfio-standin-libc.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vfio-standin.h"

#define MAX_FDS         4096

static StandinState state;
static StandinFd *fds[MAX_FDS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void standin_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void standin_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

static void load(void)
{
    char path[STANDIN_PATH];
    const char *dir = getenv("VFIO_STANDIN");
    FILE *f;

    if (!dir) {
        return;
    }
    snprintf(path, sizeof(path), "%s/devices", dir);
    f = REAL(fopen)(path, "re");
    if (!f) {
        fprintf(stderr, "vfio-standin: %s: %s\n", path, strerror(errno));
        _exit(1);
    }
    standin_config_load(&state, f);
    fclose(f);
    state.dir = strdup(dir);
}

static void start(void)
{
    for (unsigned i = 0; i < state.devices; i++) {
        standin_device_files(&state, &state.device[i]);
    }
    standin_control_start(&state);
}

StandinState *standin_state(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    return state.dir ? &state : NULL;
}

void standin_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, start);
}

StandinFd *standin_fd_get(int fd)
{
    return fd >= 0 && fd < MAX_FDS ?
           __atomic_load_n(&fds[fd], __ATOMIC_ACQUIRE) : NULL;
}

int standin_fd_new(StandinKind kind, void *object)
{
    int fd = REAL(open)("/dev/null", O_RDWR | O_CLOEXEC);
    StandinFd *entry;

    if (fd >= MAX_FDS) {
        REAL(close)(fd);
        errno = EMFILE;
        return -1;
    }
    if (fd >= 0) {
        entry = malloc(sizeof(*entry));
        *entry = (StandinFd) { kind, object };
        __atomic_store_n(&fds[fd], entry, __ATOMIC_RELEASE);
    }
    return fd;
}

int close(int fd)
{
    StandinFd *entry = standin_fd_get(fd);

    if (entry) {
        standin_lock();
        __atomic_store_n(&fds[fd], NULL, __ATOMIC_RELEASE);
        switch (entry->kind) {
        case STANDIN_CONTAINER:
            standin_container_close(entry->object);
            break;
        case STANDIN_GROUP:
            standin_group_close(entry->object);
            break;
        case STANDIN_DEVICE:
            standin_device_close(entry->object);
            break;
        }
        standin_unlock();
        free(entry);
    }
    return REAL(close)(fd);
}

static int vfio_ioctl(StandinFd *entry, unsigned long request, void *arg)
{
    if (standin_fail(request)) {
        return -1;
    }
    switch (entry->kind) {
    case STANDIN_CONTAINER:
        return standin_container_ioctl(entry->object, request, arg);
    case STANDIN_GROUP:
        return standin_group_ioctl(standin_state(), entry->object, request,
                                   arg);
    case STANDIN_DEVICE:
        return standin_device_ioctl(entry->object, request, arg);
    }
    return -1;
}

int ioctl(int fd, unsigned long request, ...)
{
    StandinFd *entry = standin_fd_get(fd);
    va_list ap;
    void *arg;
    int ret;

    va_start(ap, request);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (!entry) {
        return REAL(ioctl)(fd, request, arg);
    }
    standin_lock();
    ret = vfio_ioctl(entry, request, arg);
    standin_unlock();
    return ret;
}

static StandinDevice *fd_device(int fd)
{
    StandinFd *entry = standin_fd_get(fd);

    return entry && entry->kind == STANDIN_DEVICE ? entry->object : NULL;
}

static ssize_t device_read(StandinDevice *d, void *buf, size_t len, off_t at)
{
    ssize_t ret;

    standin_lock();
    ret = standin_device_read(d, buf, len, at);
    standin_unlock();
    return ret;
}

static ssize_t device_write(StandinDevice *d, const void *buf, size_t len,
                            off_t at)
{
    ssize_t ret;

    standin_lock();
    ret = standin_device_write(d, buf, len, at);
    standin_unlock();
    return ret;
}

#define PREAD(name)                                                     \
ssize_t name(int fd, void *buf, size_t len, off_t at)                   \
{                                                                       \
    StandinDevice *d = fd_device(fd);                                   \
                                                                        \
    return d ? device_read(d, buf, len, at) :                           \
           REAL(name)(fd, buf, len, at);                                \
}

#define PREAD_CHK(name)                                                 \
ssize_t name(int fd, void *buf, size_t len, off_t at, size_t room)      \
{                                                                       \
    StandinDevice *d = len <= room ? fd_device(fd) : NULL;              \
                                                                        \
    return d ? device_read(d, buf, len, at) :                           \
           REAL(name)(fd, buf, len, at, room);                          \
}

#define PWRITE(name)                                                    \
ssize_t name(int fd, const void *buf, size_t len, off_t at)             \
{                                                                       \
    StandinDevice *d = fd_device(fd);                                   \
                                                                        \
    return d ? device_write(d, buf, len, at) :                          \
           REAL(name)(fd, buf, len, at);                                \
}

PREAD(pread)
PREAD(pread64)
PREAD_CHK(__pread_chk)
PREAD_CHK(__pread64_chk)
PWRITE(pwrite)
PWRITE(pwrite64)

static void *map(void *addr, size_t len, int prot, int flags, int fd, off_t at)
{
    StandinDevice *d = fd_device(fd);
    uint64_t offset = at;

    if (d && !(flags & MAP_ANONYMOUS)) {
        standin_lock();
        fd = standin_device_map(d, len, &offset);
        standin_unlock();
        if (fd < 0) {
            return MAP_FAILED;
        }
    }
    return standin_map_pages(addr, len, prot, flags, fd, offset);
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t at)
{
    return map(addr, len, prot, flags, fd, at);
}

void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t at)
{
    return map(addr, len, prot, flags, fd, at);
}
