/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * QEMU as a child of the benchmark's driver
 */
#ifndef NEARMETAL_BENCH_CHILD_H
#define NEARMETAL_BENCH_CHILD_H

#include <stdbool.h>
#include <sys/types.h>
#include "bench.h"
#include "bench-shm.h"

#define GUEST_RAM_BYTES (64 * 1024 * 1024)

typedef struct Child {
    pid_t pid;
    int pidfd;
    int in;                     /* reads its standard output */
    int out;                    /* writes to its standard input */
    BenchShm *shm;
    int ram_fd;
    void *ram;                  /* guest address 0 */
} Child;

/* CPU time and the like of a thread, from some moment on */
typedef struct ThreadUse {
    int64_t cpu_ns;
    int64_t wait_ns;            /* could run, but another one did */
} ThreadUse;

/**
 * child_start: run a command with the shim preloaded
 * @argv: "@RAM@" in an argument becomes the file of the guest's memory
 * @shim: path of the shim
 *
 * The child dies with the calling thread, whatever ends that.
 */
void child_start(Child *child, char **argv, const char *shim);
void child_kill(Child *child);

/* Returns: this process's copy of the eventfd that is @fd there */
int child_take_fd(int pidfd, int fd);

/* SIGSTOP and SIGCONT: a config that waits must not use a CPU */
void child_pause(const Child *child, bool paused);

/* Exact even for a thread that runs; the other threads are to be idle */
ThreadUse child_thread_use(const Child *child, pid_t tid);

/* How long @cpu had nothing to do since the machine was started; to 10 ms */
int64_t cpu_idle_ns(int cpu);

#endif /* NEARMETAL_BENCH_CHILD_H */
