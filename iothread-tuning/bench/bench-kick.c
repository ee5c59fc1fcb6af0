/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Finds a device's ioeventfd in QEMU
 */
#include <glib.h>
#include <string.h>
#include <unistd.h>
#include "bench-kick.h"

/* Once may be chance */
#define TRIALS 3

static bool is_eventfd(const Child *child, int fd)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", child->pid, fd);
    char target[64];
    ssize_t len = readlink(path, target, sizeof(target) - 1);

    target[MAX(len, 0)] = 0;
    return strstr(target, "[eventfd]");
}

void kick_search_begin(KickSearch *search, const Child *child)
{
    search->child = child;
    for (int fd = 0; fd < KICK_FDS; fd++) {
        search->before[fd] = is_eventfd(child, fd);
    }
}

/* Waits for the one request under way; false after @ns */
static bool kick_wait_used(Disk *disk, VirtQueue *vq, int64_t ns)
{
    int64_t deadline = now_ns() + ns;

    while (vq_reap(vq) < 0) {
        disk_serve(disk, now_ns());
        if (now_ns() > deadline) {
            return false;
        }
    }
    return true;
}

/*
 * A request under way that the device does not know of
 *
 * A device that still polls takes it at once, so it gets ever more time to go
 * to sleep.
 */
static void kick_leave_unnoticed(Disk *disk, VirtQueue *vq)
{
    for (int i = 0; i < 40; i++) {
        usleep(i * 5000);
        vq_add(vq, now_ns());
        vq_publish_silently(vq);
        if (!kick_wait_used(disk, vq, 10 * NS_PER_MS)) {
            return;
        }
    }
    bench_die("the device works without kicks; cannot find its ioeventfd");
}

/* Returns: this process's copy of an eventfd that is new, or -1 */
static int kick_take_new(KickSearch *search, int fd)
{
    return search->before[fd] || !is_eventfd(search->child, fd) ? -1 :
           child_take_fd(search->child->pidfd, fd);
}

/* Does writing to @local make the device work, time and again? */
static bool kick_works(Disk *disk, VirtQueue *vq, int local, int64_t ns)
{
    uint64_t one = 1;

    for (int i = 0; i < TRIALS; i++) {
        if (i) {
            kick_leave_unnoticed(disk, vq);
        }
        if (write(local, &one, sizeof(one)) != sizeof(one) ||
            !kick_wait_used(disk, vq, ns)) {
            return false;
        }
    }
    return true;
}

/*
 * Other eventfds are candidates too: the device's interrupt, which does nothing
 * but may be tried when the device takes its first look at the queue, and that
 * of the disk's completions, which wakes the IOThread to a poll.
 *
 * Returns: the one that the device works on within @ns, or -1
 */
static int kick_try_each(KickSearch *search, Disk *disk, VirtQueue *vq,
                         int64_t ns)
{
    for (int fd = 0; fd < KICK_FDS; fd++) {
        int local = disk_has_eventfd(disk, fd) ? -1 : kick_take_new(search, fd);

        if (local < 0) {
            continue;
        }
        /* Which ones the disk has is known since the trials */
        if (kick_works(disk, vq, local, ns) && !disk_has_eventfd(disk, fd)) {
            return local;
        }
        close(local);
        if (!vq_in_flight(vq)) {
            kick_leave_unnoticed(disk, vq);
        }
    }
    return -1;
}

int kick_search_end(KickSearch *search, Disk *disk, VirtQueue *vq)
{
    kick_leave_unnoticed(disk, vq);
    /* Most of the time the wrong ones cost little; a busy machine is slow */
    for (int64_t ms = 20; ms < 1000; ms *= 5) {
        int fd = kick_try_each(search, disk, vq, ms * NS_PER_MS);

        if (fd >= 0) {
            return fd;
        }
    }
    bench_die("QEMU has no ioeventfd for the device (ioeventfd=on is needed)");
}

void kick_search_all(KickSearch *search, VirtQueue *vq)
{
    uint64_t one = 1;

    vq_add(vq, now_ns());
    vq_publish_silently(vq);
    for (int fd = 0; fd < KICK_FDS; fd++) {
        int local = kick_take_new(search, fd);

        if (local >= 0) {
            if (write(local, &one, sizeof(one)) != sizeof(one)) {
                bench_die("cannot kick: %m");
            }
            close(local);
        }
    }
}
