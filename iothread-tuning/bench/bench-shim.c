/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A stand-in for libaio, preloaded into QEMU: the driver is the disk
 *
 * Submitting is a store to shared memory, so the time in the kernel and in a
 * real disk's driver is left out, for all that is compared alike.  QEMU picks
 * completions up from the ring that io_setup() returns, as with the kernel's,
 * and does not call io_getevents().
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "bench.h"
#include "bench-shm.h"

typedef struct BenchContext *io_context_t;

static BenchShm *shm;

static void __attribute__((constructor)) shim_init(void)
{
    const char *fd = getenv(BENCH_SHM_ENV);
    int n;

    if (!fd || sscanf(fd, "%d", &n) != 1) {
        return;                 /* a helper that QEMU started */
    }
    shm = mmap(NULL, sizeof(*shm), PROT_READ | PROT_WRITE, MAP_SHARED, n, 0);
    if (shm == MAP_FAILED) {
        fprintf(stderr, "bench shim: error: cannot map the driver's memory\n");
        _exit(1);
    }
}

int io_setup(int maxevents, io_context_t *ctxp)
{
    if (maxevents <= 0 || maxevents >= BENCH_RING_SIZE) {
        return -EINVAL;
    }
    for (int i = 0; shm && i < BENCH_CONTEXTS; i++) {
        BenchContext *ctx = &shm->contexts[i];

        if (__atomic_exchange_n(&ctx->in_use, 1, __ATOMIC_ACQUIRE)) {
            continue;
        }
        ctx->done.id = i;
        ctx->done.nr = BENCH_RING_SIZE;
        ctx->done.head = ctx->done.tail;
        ctx->done.magic = AIO_RING_MAGIC;
        ctx->done.compat_features = 1;
        ctx->done.header_length = offsetof(AioRing, events);
        *ctxp = ctx;            /* the ring is what it begins with */
        return 0;
    }
    return -EAGAIN;
}

int io_destroy(io_context_t ctx)
{
    __atomic_store_n(&ctx->in_use, 0, __ATOMIC_RELEASE);
    return 0;
}

static uint64_t iov_bytes(const struct iovec *iov, uint64_t n)
{
    uint64_t bytes = 0;

    for (uint64_t i = 0; i < n; i++) {
        bytes += iov[i].iov_len;
    }
    return bytes;
}

/* Returns: the length of a read or write, -1 for anything else */
static int64_t request_bytes(const struct iocb *iocb)
{
    switch (iocb->aio_lio_opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PWRITE:
        return iocb->aio_nbytes;
    case IOCB_CMD_PREADV:
    case IOCB_CMD_PWRITEV:
        return iov_bytes((struct iovec *)(uintptr_t)iocb->aio_buf,
                         iocb->aio_nbytes);
    default:
        return -1;
    }
}

static uint32_t thread_id(void)
{
    static __thread uint32_t tid;

    if (!tid) {
        tid = syscall(SYS_gettid);
    }
    return tid;
}

int io_submit(io_context_t ctx, long nr, struct iocb **ios)
{
    uint32_t submitted = ctx->submitted;
    int64_t now = now_ns();
    long i;

    for (i = 0; i < nr; i++) {
        const struct iocb *iocb = ios[i];
        int64_t bytes = request_bytes(iocb);
        bool signal = iocb->aio_flags & IOCB_FLAG_RESFD;

        if (bytes < 0) {
            break;
        }
        ctx->requests[(submitted + i) % BENCH_RING_SIZE] = (BenchRequest) {
            .obj = (uintptr_t)iocb,
            .data = iocb->aio_data,
            .offset = iocb->aio_offset,
            .bytes = bytes,
            .start_ns = now,
            .eventfd = signal ? (int32_t)iocb->aio_resfd : -1,
        };
    }
    ctx->tid = thread_id();
    /* The requests before the count */
    __atomic_store_n(&ctx->submitted, submitted + i, __ATOMIC_RELEASE);
    return i || !nr ? i : -EINVAL;
}
