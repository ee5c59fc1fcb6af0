/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Where guest memory is in this process: a short list of ranges
 */

#include "qemu/osdep.h"
#include "ram-window.h"

/* Sums of guest addresses could wrap, differences do not */
static bool window_has(const RamWindow *w, uint64_t addr, uint64_t size)
{
    return addr - w->start < w->size && size <= w->size - (addr - w->start);
}

static bool window_has_host(const RamWindow *w, const void *host)
{
    return (uintptr_t)host - (uintptr_t)w->host < w->size;
}

int ram_windows_find(RamWindows *windows, uint64_t addr, uint64_t size)
{
    unsigned i = windows->last;

    if (i < windows->count && window_has(&windows->range[i], addr, size)) {
        return i;
    }
    for (i = 0; i < windows->count; i++) {
        if (window_has(&windows->range[i], addr, size)) {
            windows->last = i;
            return i;
        }
    }
    return -1;
}

int ram_windows_find_host(RamWindows *windows, const void *host)
{
    unsigned i = windows->last;

    if (i < windows->count && window_has_host(&windows->range[i], host)) {
        return i;
    }
    for (i = 0; i < windows->count; i++) {
        if (window_has_host(&windows->range[i], host)) {
            return i;
        }
    }
    return -1;
}

static bool windows_overlap(const RamWindow *w, uint64_t start, uint64_t size)
{
    return start - w->start < w->size || w->start - start < size;
}

int ram_windows_add(RamWindows *windows, uint64_t start, uint64_t size,
                    void *host)
{
    unsigned i;

    if (windows->count == RAM_WINDOWS || !size ||
        size - 1 > UINT64_MAX - start) {
        return -1;
    }
    for (i = 0; i < windows->count; i++) {
        if (windows_overlap(&windows->range[i], start, size)) {
            return -1;
        }
    }
    windows->range[i] = (RamWindow) {
        .start = start, .size = size, .host = host,
    };
    windows->last = i;
    return windows->count++;
}
