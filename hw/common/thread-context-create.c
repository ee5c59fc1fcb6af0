/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/nearmetal/common/thread-context-try.h"

void thread_context_create_thread(ThreadContext *tc, QemuThread *thread,
                                  const char *name,
                                  void *(*start_routine)(void *), void *arg,
                                  int mode)
{
    int err = thread_context_try_create_thread(tc, thread, name, start_routine,
                                               arg, mode);

    if (err) {
        fprintf(stderr, "qemu: %s: %s\n", __func__, strerror(err));
        abort();
    }
}
