/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/nearmetal/common/thread-context-try.h"

int thread_context_try_create_thread(ThreadContext *tc, QemuThread *thread,
                                     const char *name,
                                     void *(*start_routine)(void *), void *arg,
                                     int mode)
{
    thread_context_create_thread(tc, thread, name, start_routine, arg, mode);
    return 0;
}
