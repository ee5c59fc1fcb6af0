/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions of the C library that take a path, for the stand-in for VFIO
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "vfio-standin-libc.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "vfio-standin.h"

#define SYSFS           "/sys/bus/pci/devices/"

/* Returns: where the file really is, @path itself if it is none of ours */
static const char *redirect(const char *path, char buf[STANDIN_PATH])
{
    const size_t len = strlen(SYSFS);
    char name[STANDIN_NAME] = "";
    StandinState *s;

    if (!path || strncmp(path, SYSFS, len) || strlen(path) < len + 12) {
        return path;
    }
    s = standin_state();
    memcpy(name, path + len, 12);
    if (!s || !standin_find(s, name) ||
        (path[len + 12] && path[len + 12] != '/')) {
        return path;
    }
    standin_start();
    snprintf(buf, STANDIN_PATH, "%s%s", s->dir, path);
    return buf;
}

/* Returns: whether @path is a node of VFIO; then *@fd is open's result */
static bool open_vfio(const char *path, int *fd)
{
    StandinState *s;
    int group, end = 0;
    bool container;

    if (!path || strncmp(path, "/dev/vfio/", 10)) {
        return false;
    }
    container = !strcmp(path + 10, "vfio");
    if (!container && (sscanf(path + 10, "%d%n", &group, &end) != 1 ||
                       path[10 + end])) {
        return false;
    }
    s = standin_state();
    if (!s) {
        return false;
    }
    standin_start();
    standin_lock();
    *fd = container ? standin_container_open() : standin_group_open(s, group);
    standin_unlock();
    return true;
}

/* Functions that open @path */
#define OPEN(name, params, ...)                                 \
int name params                                                 \
{                                                               \
    char buf[STANDIN_PATH];                                     \
    mode_t mode;                                                \
    va_list ap;                                                 \
    int fd;                                                     \
                                                                \
    va_start(ap, flags);                                        \
    mode = va_arg(ap, mode_t);                                  \
    va_end(ap);                                                 \
    if (open_vfio(path, &fd)) {                                 \
        return fd;                                              \
    }                                                           \
    path = redirect(path, buf);                                 \
    return REAL(name)(__VA_ARGS__, mode);                       \
}

OPEN(open, (const char *path, int flags, ...), path, flags)
OPEN(open64, (const char *path, int flags, ...), path, flags)
OPEN(openat, (int dir, const char *path, int flags, ...), dir, path, flags)
OPEN(openat64, (int dir, const char *path, int flags, ...), dir, path, flags)

/* The same without a mode: what _FORTIFY_SOURCE calls */
#define OPEN_2(name, params, ...)                               \
int name params                                                 \
{                                                               \
    char buf[STANDIN_PATH];                                     \
    int fd;                                                     \
                                                                \
    if (open_vfio(path, &fd)) {                                 \
        return fd;                                              \
    }                                                           \
    path = redirect(path, buf);                                 \
    return REAL(name)(__VA_ARGS__);                             \
}

OPEN_2(__open_2, (const char *path, int flags), path, flags)
OPEN_2(__open64_2, (const char *path, int flags), path, flags)
OPEN_2(__openat_2, (int dir, const char *path, int flags), dir, path, flags)
OPEN_2(__openat64_2, (int dir, const char *path, int flags), dir, path, flags)

/* Functions that take a path, and differ in the rest */
#define BY_PATH(type, name, params, ...)                        \
type name params                                                \
{                                                               \
    char buf[STANDIN_PATH];                                     \
                                                                \
    path = redirect(path, buf);                                 \
    return REAL(name)(__VA_ARGS__);                             \
}

BY_PATH(FILE *, fopen, (const char *path, const char *mode), path, mode)
BY_PATH(FILE *, fopen64, (const char *path, const char *mode), path, mode)
BY_PATH(DIR *, opendir, (const char *path), path)
BY_PATH(int, access, (const char *path, int mode), path, mode)
BY_PATH(int, stat, (const char *path, struct stat *st), path, st)
BY_PATH(int, stat64, (const char *path, struct stat64 *st), path, st)
BY_PATH(int, lstat, (const char *path, struct stat *st), path, st)
BY_PATH(int, lstat64, (const char *path, struct stat64 *st), path, st)
BY_PATH(int, fstatat, (int dir, const char *path, struct stat *st, int flags),
        dir, path, st, flags)
BY_PATH(int, fstatat64,
        (int dir, const char *path, struct stat64 *st, int flags),
        dir, path, st, flags)
BY_PATH(ssize_t, readlink, (const char *path, char *to, size_t len),
        path, to, len)
BY_PATH(ssize_t, readlinkat, (int dir, const char *path, char *to, size_t len),
        dir, path, to, len)
BY_PATH(ssize_t, __readlink_chk,
        (const char *path, char *to, size_t len, size_t room),
        path, to, len, room)
BY_PATH(ssize_t, __readlinkat_chk,
        (int dir, const char *path, char *to, size_t len, size_t room),
        dir, path, to, len, room)
BY_PATH(char *, realpath, (const char *path, char *to), path, to)
BY_PATH(char *, __realpath_chk, (const char *path, char *to, size_t room),
        path, to, room)
