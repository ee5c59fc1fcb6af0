/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backend tpm-emulator: its character device
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * The character device connects, reconnects and notices when it is closed; the
 * bytes are the worker's business, which gets a descriptor of its own.  All
 * under the BQL in the main thread.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "chardev/char-socket.h"
#include "io/channel-socket.h"
#include "qapi/error.h"
#include "emulator.h"

/* While the connection is waited for, ms */
#define CONNECT_STEP_MS     10

static SocketChardev *emulator_socket(TPMEmulator *e)
{
    return SOCKET_CHARDEV(qemu_chr_fe_get_driver(&e->chr));
}

static const char *socket_refusal(SocketChardev *s)
{
    if (!s->ioc || !object_dynamic_cast(OBJECT(s->ioc),
                                        TYPE_QIO_CHANNEL_SOCKET)) {
        return "is not a plain socket (TLS, telnet and websocket cannot be "
               "used)";
    }
    if (!qio_channel_has_feature(s->ioc, QIO_CHANNEL_FEATURE_FD_PASS)) {
        return "cannot pass the file descriptor of the data channel; use a "
               "Unix socket";
    }
    return NULL;
}

void tpm_emulator_use_connection(TPMEmulator *e)
{
    SocketChardev *s = emulator_socket(e);
    int fd = dup(QIO_CHANNEL_SOCKET(s->ioc)->fd);

    if (fd < 0) {
        error_report("tpm-emulator: chardev '%s': %s", e->options->chardev,
                     strerror(errno));
        return;
    }
    qemu_set_cloexec(fd);
    tpm_worker_connected(e->worker, fd);
}

static void emulator_chr_opened(TPMEmulator *e)
{
    const char *why = socket_refusal(emulator_socket(e));

    g_free(e->refused);
    e->refused = g_strdup(why);
    e->connected = true;
    if (e->worker && !why) {
        tpm_emulator_use_connection(e);
    }
}

static void emulator_chr_event(void *opaque, QEMUChrEvent event)
{
    TPMEmulator *e = opaque;

    if (event == CHR_EVENT_OPENED) {
        emulator_chr_opened(e);
    } else if (event == CHR_EVENT_CLOSED) {
        e->connected = false;
        if (e->worker) {
            /* One that waits for the next reset has gone, too */
            tpm_worker_connected(e->worker, -1);
        }
    }
}

bool tpm_emulator_reconnects(TPMEmulator *e)
{
    SocketChardev *s = emulator_socket(e);

    return s->is_listen || s->reconnect_time_ms;
}

static bool emulator_check_chardev(Chardev *chr, Error **errp)
{
    SocketChardev *s;

    if (!object_dynamic_cast(OBJECT(chr), TYPE_CHARDEV_SOCKET)) {
        error_setg(errp, "chardev '%s' is not a socket", chr->label);
        return false;
    }
    s = SOCKET_CHARDEV(chr);
    if (s->addr && (s->addr->type == SOCKET_ADDRESS_TYPE_INET ||
                    s->addr->type == SOCKET_ADDRESS_TYPE_VSOCK)) {
        error_setg(errp, "chardev '%s' is a TCP socket, which cannot pass the "
                   "file descriptor of the data channel; use a Unix socket",
                   chr->label);
        return false;
    }
    return true;
}

/*
 * A character device that reconnects, or that listens, connects in the main
 * loop, which does not run yet
 */
static bool emulator_await_connection(TPMEmulator *e, int64_t deadline,
                                      Error **errp)
{
    while (!e->connected) {
        if (tpm_io_now() >= deadline) {
            error_setg(errp, "chardev '%s' is not connected after %" PRId64
                       " ms (start-timeout)", e->options->chardev,
                       e->start_ms);
            return false;
        }
        if (!g_main_context_iteration(NULL, FALSE)) {
            bql_unlock();
            g_usleep(CONNECT_STEP_MS * 1000);
            bql_lock();
        }
    }
    if (e->refused) {
        error_setg(errp, "chardev '%s' %s", e->options->chardev, e->refused);
        return false;
    }
    return true;
}

bool tpm_emulator_open(TPMEmulator *e, int64_t deadline, Error **errp)
{
    const char *id = e->options->chardev;
    Chardev *chr = qemu_chr_find(id);

    if (!chr) {
        error_setg(errp, "tpm chardev '%s' not found", id);
        return false;
    }
    if (!emulator_check_chardev(chr, errp)) {
        return false;
    }
    if (!qemu_chr_fe_init(&e->chr, chr, errp)) {
        error_prepend(errp, "No valid chardev found at '%s': ", id);
        return false;
    }
    /* The worker reads */
    qemu_chr_fe_set_handlers(&e->chr, NULL, NULL, emulator_chr_event, NULL, e,
                             NULL, true);
    return emulator_await_connection(e, deadline, errp);
}

void tpm_emulator_close(TPMEmulator *e)
{
    if (qemu_chr_fe_backend_connected(&e->chr)) {
        qemu_chr_fe_set_handlers(&e->chr, NULL, NULL, NULL, NULL, NULL, NULL,
                                 false);
        qemu_chr_fe_deinit(&e->chr, false);
    }
}
