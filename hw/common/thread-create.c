/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/nearmetal/common/thread-try.h"

/* As ever: for threads that QEMU cannot do without */
void qemu_thread_create(QemuThread *thread, const char *name,
                        void *(*start_routine)(void *),
                        void *arg, int mode)
{
    int err = qemu_thread_try_create(thread, name, start_routine, arg, mode);

    if (err) {
        fprintf(stderr, "qemu: %s: %s\n", __func__, strerror(err));
        abort();
    }
}
