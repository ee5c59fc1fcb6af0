/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The programmable disk
 */
#include <string.h>
#include <unistd.h>
#include "bench-child.h"
#include "bench-disk.h"

void disk_init(Disk *disk, BenchShm *shm, int pidfd)
{
    memset(disk, 0, sizeof(*disk));
    disk->shm = shm;
    disk->pidfd = pidfd;
    disk->random = g_rand_new();
    memset(disk->remote_fd, -1, sizeof(disk->remote_fd));
    memset(disk->local_fd, -1, sizeof(disk->local_fd));
}

void disk_program(Disk *disk, const DiskModel *model, uint64_t seed)
{
    disk->model = *model;
    g_rand_set_seed(disk->random, seed);
}

static int64_t disk_latency(Disk *disk)
{
    const DiskModel *m = &disk->model;
    int64_t ns = m->low_ns;
    int64_t span;

    if (m->high_percent && g_rand_int(disk->random) % 100 < m->high_percent) {
        ns = m->high_ns;
    }
    span = ns * m->jitter_percent / 100;
    if (span) {
        ns += g_rand_int(disk->random) % (2 * span + 1) - span;
    }
    return ns;
}

static void heap_push(Disk *disk, const DiskPending *item)
{
    unsigned i = disk->n_pending++;

    while (i) {
        unsigned parent = (i - 1) / 2;

        if (disk->pending[parent].due_ns <= item->due_ns) {
            break;
        }
        disk->pending[i] = disk->pending[parent];
        i = parent;
    }
    disk->pending[i] = *item;
}

static void heap_pop(Disk *disk)
{
    DiskPending *heap = disk->pending;
    const DiskPending *last = &heap[--disk->n_pending];
    unsigned n = disk->n_pending;
    unsigned i = 0;

    for (unsigned child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && heap[child + 1].due_ns < heap[child].due_ns) {
            child++;
        }
        if (heap[child].due_ns >= last->due_ns) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = *last;
}

/* QEMU's number of the eventfd is of no use here: gets a copy of it */
static void disk_use_eventfd(Disk *disk, unsigned context, int fd)
{
    if (disk->remote_fd[context] == fd) {
        return;
    }
    if (disk->local_fd[context] >= 0) {
        close(disk->local_fd[context]);
        disk->local_fd[context] = -1;
    }
    disk->remote_fd[context] = fd;
    if (fd >= 0) {
        disk->local_fd[context] = child_take_fd(disk->pidfd, fd);
    }
}

static void disk_take(Disk *disk, unsigned i)
{
    BenchContext *ctx = &disk->shm->contexts[i];
    uint32_t submitted = __atomic_load_n(&ctx->submitted, __ATOMIC_ACQUIRE);

    if (disk->taken[i] != submitted) {
        disk->tid = ctx->tid;
    }
    for (; disk->taken[i] != submitted; disk->taken[i]++) {
        const BenchRequest *req =
            &ctx->requests[disk->taken[i] % BENCH_RING_SIZE];
        int64_t latency = disk_latency(disk);
        uint64_t slot = req->offset / BENCH_STRIDE;

        disk_use_eventfd(disk, i, req->eventfd);
        if (slot < BENCH_DISKS * BENCH_SLOTS) {
            disk->latency_ns[slot] = latency;
        }
        heap_push(disk, &(DiskPending) {
            .due_ns = req->start_ns + latency,
            .obj = req->obj,
            .data = req->data,
            .bytes = req->bytes,
            .context = i,
        });
    }
}

static void disk_complete(Disk *disk, const DiskPending *item)
{
    AioRing *ring = &disk->shm->contexts[item->context].done;
    uint32_t tail = ring->tail;

    ring->events[tail] = (struct io_event) {
        .data = item->data,
        .obj = item->obj,
        .res = item->bytes,
    };
    /* The event before the index; pairs with QEMU's io_getevents_peek() */
    __atomic_store_n(&ring->tail, (tail + 1) % ring->nr, __ATOMIC_RELEASE);
}

static void disk_signal(Disk *disk, unsigned context, uint64_t n)
{
    int fd = disk->local_fd[context];

    if (fd >= 0 && write(fd, &n, sizeof(n)) != sizeof(n)) {
        bench_die("cannot signal a completion: %m");
    }
}

void disk_serve(Disk *disk, int64_t now)
{
    uint64_t done[BENCH_CONTEXTS] = { 0 };
    bool any = false;

    for (unsigned i = 0; i < BENCH_CONTEXTS; i++) {
        disk_take(disk, i);
    }
    while (disk->n_pending && disk->pending[0].due_ns <= now) {
        disk_complete(disk, &disk->pending[0]);
        done[disk->pending[0].context]++;
        heap_pop(disk);
        any = true;
    }
    for (unsigned i = 0; any && i < BENCH_CONTEXTS; i++) {
        if (done[i]) {
            trace_add(disk->trace, TRACE_DONE, i, done[i]);
            disk_signal(disk, i, done[i]);
        }
    }
}

bool disk_has_eventfd(const Disk *disk, int fd)
{
    for (unsigned i = 0; i < BENCH_CONTEXTS; i++) {
        if (disk->remote_fd[i] == fd) {
            return true;
        }
    }
    return false;
}

void disk_count(const Disk *disk, unsigned *pending, unsigned *unseen)
{
    *pending = disk->n_pending;
    *unseen = 0;
    for (unsigned i = 0; i < BENCH_CONTEXTS; i++) {
        const AioRing *ring = &disk->shm->contexts[i].done;

        *unseen += (ring->tail - ring->head) % BENCH_RING_SIZE;
    }
}
