/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/nearmetal/common/thread-try.h"

int qemu_thread_try_create(QemuThread *thread, const char *name,
                           void *(*start_routine)(void *),
                           void *arg, int mode)
{
    qemu_thread_create(thread, name, start_routine, arg, mode);
    return 0;
}
