/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * To be included before any other header by a file of the stand-in for VFIO
 * that defines functions of the C library
 *
 * Their names with and without "64", and those of _FORTIFY_SOURCE, are
 * different functions to the linker: nothing must redirect one to another.
 */

#ifndef NEARMETAL_VFIO_STANDIN_LIBC_H
#define NEARMETAL_VFIO_STANDIN_LIBC_H

#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <sys/types.h>

_Static_assert(sizeof(off_t) == sizeof(off64_t), "needs a 64-bit host");

/* The next definition of a function, in the C library */
#define REAL(name)                                              \
    ({                                                          \
        static __typeof__(&name) real_;                         \
        if (!real_) {                                           \
            real_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
        }                                                       \
        real_;                                                  \
    })

/* What _FORTIFY_SOURCE calls; @room is the size of the buffer */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
ssize_t __readlink_chk(const char *path, char *to, size_t len, size_t room);
ssize_t __readlinkat_chk(int dir, const char *path, char *to, size_t len,
                         size_t room);
char *__realpath_chk(const char *path, char *to, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t len, off_t at, size_t room);

#endif /* NEARMETAL_VFIO_STANDIN_LIBC_H */
