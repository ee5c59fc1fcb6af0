/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Threads of a thread context that may fail to be created, see thread-try.h.
 * Main thread, under the BQL.
 */
#ifndef IOTHREAD_TUNING_THREAD_CONTEXT_TRY_H
#define IOTHREAD_TUNING_THREAD_CONTEXT_TRY_H

#include "qemu/thread-context.h"

/**
 * thread_context_try_create_thread: thread_context_create_thread() that may
 * fail
 *
 * Returns: 0, or a positive errno; @thread is not to be used then
 */
int thread_context_try_create_thread(ThreadContext *tc, QemuThread *thread,
                                     const char *name,
                                     void *(*start_routine)(void *), void *arg,
                                     int mode);

#endif /* IOTHREAD_TUNING_THREAD_CONTEXT_TRY_H */
