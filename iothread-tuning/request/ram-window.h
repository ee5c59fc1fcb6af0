/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Where guest memory is in this process: a short list of ranges
 *
 * The buffers of a virtqueue are in the guest's RAM, which is a few large
 * ranges.  Looking there first costs less than translating each address anew.
 *
 * Called by the thread that serves the virtqueue, which owns the list; nothing
 * is locked.
 */
#ifndef IOTHREAD_TUNING_RAM_WINDOW_H
#define IOTHREAD_TUNING_RAM_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/* Ranges that are remembered; a guest of more NUMA nodes has some left out */
#define RAM_WINDOWS 16

typedef struct RamWindow {
    /* Guest physical address and size, in bytes; it does not wrap */
    uint64_t start;
    uint64_t size;
    uint8_t *host;
} RamWindow;

typedef struct RamWindows {
    RamWindow range[RAM_WINDOWS];
    unsigned count;
    /* The one that was last found, which is most often the next one, too */
    unsigned last;
} RamWindows;

/**
 * ram_windows_find: the range that has all of [@addr, @addr + @size)
 *
 * Returns: its index, or -1
 */
int ram_windows_find(RamWindows *windows, uint64_t addr, uint64_t size);

/**
 * ram_windows_find_host: the range that @host is in
 *
 * Returns: its index, or -1
 */
int ram_windows_find_host(RamWindows *windows, const void *host);

/**
 * ram_windows_add: remember one more
 * @start: guest physical address
 * @size: more than 0; @start + @size must not wrap
 *
 * Returns: its index, or -1 if there is no room, or part of it is there already
 */
int ram_windows_add(RamWindows *windows, uint64_t start, uint64_t size,
                    void *host);

#endif /* IOTHREAD_TUNING_RAM_WINDOW_H */
