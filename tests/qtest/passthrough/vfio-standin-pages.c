/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host with larger pages, for the stand-in for VFIO
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Mappings begin and end where such a host's kernel would let them: at a
 * multiple of its page size.  So a BAR that is smaller than a page has a page.
 */

#include "vfio-standin-libc.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vfio-standin.h"

size_t standin_real_page_size(void)
{
    return REAL(getpagesize)();
}

size_t standin_page_size(void)
{
    StandinState *s = standin_state();

    return s && s->page_size ? s->page_size : standin_real_page_size();
}

int getpagesize(void)
{
    return standin_page_size();
}

long sysconf(int name)
{
    return name == _SC_PAGESIZE ? (long)standin_page_size() :
           REAL(sysconf)(name);
}

static size_t page_up(size_t len)
{
    return (len + standin_page_size() - 1) & -standin_page_size();
}

/* An address that is aligned to larger pages than the host's */
static void *reserve(size_t len)
{
    size_t room = len + standin_page_size();
    void *base = REAL(mmap)(NULL, room, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                            0);
    char *start, *end;

    if (base == MAP_FAILED) {
        return base;
    }
    start = (char *)page_up((size_t)base);
    end = (char *)base + room;
    if (start > (char *)base) {
        REAL(munmap)(base, start - (char *)base);
    }
    if (end > start + len) {
        REAL(munmap)(start + len, end - (start + len));
    }
    return start;
}

/* mmap() of a kernel whose pages have standin_page_size() */
void *standin_map_pages(void *addr, size_t len, int prot, int flags, int fd,
                        off_t at)
{
    if (standin_page_size() == standin_real_page_size()) {
        return REAL(mmap)(addr, len, prot, flags, fd, at);
    }
    if (!len || at & (standin_page_size() - 1)) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    len = page_up(len);
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if ((uintptr_t)addr & (standin_page_size() - 1)) {
            errno = EINVAL;
            return MAP_FAILED;
        }
    } else {
        addr = reserve(len);
        if (addr == MAP_FAILED) {
            return addr;
        }
        flags |= MAP_FIXED;
    }
    return REAL(mmap)(addr, len, prot, flags, fd, at);
}

int munmap(void *addr, size_t len)
{
    if (standin_page_size() == standin_real_page_size()) {
        return REAL(munmap)(addr, len);
    }
    if (!len || (uintptr_t)addr & (standin_page_size() - 1)) {
        errno = EINVAL;
        return -1;
    }
    return REAL(munmap)(addr, page_up(len));
}
