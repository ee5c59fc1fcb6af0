/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Threads for which running out of threads is an error, not the end
 *
 * qemu_thread_create() aborts where the limit of a user (RLIMIT_NPROC), of a
 * container (pids) or of the address space is reached.  What is asked for while
 * a VM runs must not end it.  Any thread.
 */
#ifndef IOTHREAD_TUNING_THREAD_TRY_H
#define IOTHREAD_TUNING_THREAD_TRY_H

#include "qemu/thread.h"

/**
 * qemu_thread_try_create: qemu_thread_create() that may fail
 *
 * On hosts without POSIX threads it aborts as that does.
 *
 * Returns: 0, or a positive errno; @thread is not to be used then
 */
int qemu_thread_try_create(QemuThread *thread, const char *name,
                           void *(*start_routine)(void *),
                           void *arg, int mode);

#endif /* IOTHREAD_TUNING_THREAD_TRY_H */
