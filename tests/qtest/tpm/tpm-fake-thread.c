/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A made-up swtpm that misbehaves by a script: its thread
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifdef NATIVE_UNIT_TEST
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#else
#include "qemu/osdep.h"
#include <sys/socket.h>
#endif
#include <poll.h>
#include "tpm-fake-private.h"

#define REST_MS         60000   /* for the rest of a control message */
#define BLOB_HDR        12
#define HASH_HDR        4
#define CTL_HASH_DATA   7
#define CTL_GET_INFO    18
#define BLOB_MAX        (16 * 1024 * 1024)

static void G_GNUC_PRINTF(2, 3) fake_log(TpmFake *f, const char *fmt, ...)
{
    g_autofree char *line = NULL;
    va_list ap;

    va_start(ap, fmt);
    line = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_mutex_lock(&f->lock);
    g_string_append_printf(f->log, "%s\n", line);
    if (f->log_file) {
        fprintf(f->log_file, "%s\n", line);
        fflush(f->log_file);
    }
    g_cond_broadcast(&f->changed);
    g_mutex_unlock(&f->lock);
}

void fake_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

static void pending_drop(Pending *p)
{
    if (p->bytes) {
        g_byte_array_unref(p->bytes);
    }
    *p = (Pending) { 0 };
}

static void close_data(TpmFake *f)
{
    fake_close(&f->data);
    pending_drop(&f->data_answer);
    g_byte_array_set_size(f->command, 0);
}

static void close_ctrl(TpmFake *f)
{
    fake_close(&f->ctrl);
    pending_drop(&f->ctrl_answer);
}

static void close_all(TpmFake *f)
{
    close_ctrl(f);
    close_data(f);
}

/* The peer may be gone, and may not read: neither is the script's concern */
static void send_bytes(int fd, const GByteArray *a)
{
    if (fd >= 0) {
        tpm_io_send(fd, a->data, a->len, -1, tpm_io_now() + REST_MS);
    }
}

static void pending_send(Pending *p, int fd)
{
    Pending now = *p;

    *p = (Pending) { 0 };
    send_bytes(fd, now.bytes);
    pending_drop(&now);
}

/* Takes @answer; false if the rule closed the channels */
static bool answer_by(TpmFake *f, FakeRule *rule, GByteArray *answer,
                      Pending *p)
{
    pending_drop(p);
    *p = (Pending) { .bytes = answer };
    if (rule) {
        fake_rule_apply(rule, answer);
        p->due = rule->delay_ms ? tpm_io_now() + rule->delay_ms : 0;
        p->serial = rule->serial;
        p->wait_cancel = rule->wait_cancel;
        if (rule->close) {
            close_all(f);
            return false;
        }
    }
    return true;
}

static void set_datafd(TpmFake *f, int fd, GByteArray *answer)
{
    /* 3 is recorded for none; what a second one gets is IOERROR */
    uint8_t result[4] = { 0, 0, 0, f->data >= 0 ? TPM_CTL_RES_IOERROR :
                                   fd < 0 ? 0x03 : 0 };

    g_byte_array_append(answer, result, sizeof(result));
    if (f->data < 0) {
        f->data = fd;
    } else {
        fake_close(&fd);
    }
}

static void serve_ctrl(TpmFake *f, uint32_t cmd, const GByteArray *body,
                       int fd)
{
    FakeRule *rule = fake_script_match(f->script, FAKE_ON_CTRL, cmd);
    g_autofree char *arg = g_strdup("");
    GByteArray *answer;

    for (guint i = 0; i < MIN(body->len, BLOB_HDR); i++) {
        char *longer = g_strdup_printf("%s%s%02x", arg, i ? "" : " ",
                                       body->data[i]);

        g_free(arg);
        arg = longer;
    }
    fake_log(f, "ctrl %s%s", tpm_wire_ctl_name(cmd), arg);
    if (cmd == TPM_CTL_SET_DATAFD) {
        answer = g_byte_array_new();
        set_datafd(f, fd, answer);
    } else {
        answer = fake_tpm_ctrl(&f->tpm, cmd, body->data, body->len);
        fake_close(&fd);
    }
    if (cmd == TPM_CTL_CANCEL) {
        f->data_answer.wait_cancel = false;
    }
    if (answer_by(f, rule, answer, &f->ctrl_answer) &&
        cmd == TPM_CTL_SHUTDOWN && !rule) {
        pending_send(&f->ctrl_answer, f->ctrl);
        g_mutex_lock(&f->lock);
        f->stop = true;
        g_cond_broadcast(&f->changed);
        g_mutex_unlock(&f->lock);
    }
}

/* The number of a control message and what is passed with it */
static bool recv_number(TpmFake *f, uint8_t number[4], int *fd)
{
    struct iovec iov = { .iov_base = number, .iov_len = 4 };
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t n = recvmsg(f->ctrl, &msg, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    size_t got;

    if (c && c->cmsg_type == SCM_RIGHTS) {
        memcpy(fd, CMSG_DATA(c), sizeof(int));
    }
    return n == 4 || (n > 0 && tpm_io_recv(f->ctrl, number + n, 4 - n, &got,
                                           tpm_io_now() + REST_MS) ==
                               TPM_IO_OK);
}

/* QEMU does not send all that there is */
static size_t request_size(uint32_t cmd)
{
    return cmd == CTL_HASH_DATA ? HASH_HDR :
           cmd == CTL_GET_INFO ? 16 : tpm_wire_ctl_request(cmd);
}

static bool recv_body(TpmFake *f, uint32_t cmd, GByteArray *body)
{
    bool more = cmd == TPM_CTL_SET_STATEBLOB || cmd == CTL_HASH_DATA;
    size_t got, len, head = request_size(cmd);
    int64_t until = tpm_io_now() + REST_MS;

    g_byte_array_set_size(body, head);
    if (tpm_io_recv(f->ctrl, body->data, head, &got, until) != TPM_IO_OK) {
        return false;
    }
    if (!more) {
        return true;
    }
    len = tpm_wire_get32(body->data + head - 4);
    if (len > BLOB_MAX) {
        return false;
    }
    g_byte_array_set_size(body, head + len);
    return tpm_io_recv(f->ctrl, body->data + head, len, &got, until) ==
           TPM_IO_OK;
}

static void read_ctrl(TpmFake *f)
{
    g_autoptr(GByteArray) body = g_byte_array_new();
    uint8_t number[4];
    int fd = -1;

    if (!recv_number(f, number, &fd) ||
        !recv_body(f, tpm_wire_get32(number), body)) {
        fake_log(f, "disconnect");
        fake_close(&fd);
        close_ctrl(f);
        return;
    }
    serve_ctrl(f, tpm_wire_get32(number), body, fd);
}

static void serve_data(TpmFake *f)
{
    const uint8_t *cmd = f->command->data;
    uint32_t code = tpm_wire_get32(cmd + 6);
    FakeRule *rule = fake_script_match(f->script, FAKE_ON_DATA, code);

    fake_log(f, "data %04x %08x %08x", tpm_wire_get16(cmd),
             tpm_wire_get32(cmd + 2), code);
    answer_by(f, rule, fake_tpm_data(&f->tpm, cmd), &f->data_answer);
}

static void read_data(TpmFake *f)
{
    uint8_t bytes[4096];
    size_t got, size;

    if (tpm_io_recv_some(f->data, bytes, sizeof(bytes), &got, 0) !=
        TPM_IO_OK) {
        fake_log(f, "data closed");
        close_data(f);
        return;
    }
    g_byte_array_append(f->command, bytes, got);
    size = f->command->len < 6 ? 6 : tpm_wire_get32(f->command->data + 2);
    size = MAX(size, TPM_WIRE_HDR);
    if (f->command->len < size) {
        fake_log(f, "partial %u", f->command->len);
        return;
    }
    serve_data(f);
    g_byte_array_remove_range(f->command, 0, MIN(size, f->command->len));
}

static void take_connection(TpmFake *f, int fd)
{
    FakeRule *rule = fake_script_match(f->script, FAKE_ON_CONNECT, 0);

    fake_log(f, "connect");
    if (rule && rule->refuse) {
        fake_close(&fd);
        return;
    }
    close_ctrl(f);
    f->ctrl = fd;
}

/* What others asked for; false to end */
static bool take_requests(TpmFake *f, bool *frozen)
{
    int fd;
    bool stop;

    g_mutex_lock(&f->lock);
    fd = f->next_ctrl;
    f->next_ctrl = -1;
    if (f->next_listener >= 0) {
        fake_close(&f->listener);
        f->listener = f->next_listener;
        f->next_listener = -1;
    }
    if (f->next_rules) {
        if (f->next_rules->has_storage) {
            f->tpm.storage = f->next_rules->storage;
        }
        fake_script_prepend(f->script, f->next_rules);
        f->next_rules = NULL;
    }
    *frozen = f->is_frozen = f->frozen;
    g_cond_broadcast(&f->changed);
    stop = f->stop;
    g_mutex_unlock(&f->lock);
    if (fd >= 0) {
        take_connection(f, fd);
    }
    return !stop;
}

static FakeRule *idle_rule(TpmFake *f)
{
    FakeScript *s = f->script;

    for (guint i = 0; i < s->rules->len; i++) {
        FakeRule *r = g_ptr_array_index(s->rules, i);

        if (r->on == FAKE_ON_IDLE && !r->used && f->tpm.running) {
            return r;
        }
    }
    return NULL;
}

static void idle_act(TpmFake *f, FakeRule *rule)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    rule->used = !rule->every;
    f->active_at = tpm_io_now();
    fake_log(f, "idle");
    if (rule->close) {
        close_all(f);
        return;
    }
    fake_rule_apply(rule, bytes);
    send_bytes(rule->to_data ? f->data : f->ctrl, bytes);
}

/* Send what is due; returns when to look again */
static int64_t serve_due(TpmFake *f)
{
    FakeRule *idle = idle_rule(f);
    int64_t now = tpm_io_now(), next = TPM_IO_NEVER;
    Pending *all[] = { &f->data_answer, &f->ctrl_answer };
    int fds[] = { f->data, f->ctrl };

    for (int i = 0; i < 2; i++) {
        if (!all[i]->bytes || all[i]->wait_cancel) {
            continue;
        }
        if (now >= all[i]->due) {
            pending_send(all[i], fds[i]);
            f->active_at = now;
        } else {
            next = MIN(next, all[i]->due);
        }
    }
    if (idle && now >= f->active_at + idle->idle_ms) {
        idle_act(f, idle);
    } else if (idle) {
        next = MIN(next, f->active_at + idle->idle_ms);
    }
    return next;
}

static void fake_wait(TpmFake *f, bool frozen, int64_t until)
{
    bool serial = f->data_answer.serial || f->ctrl_answer.serial;
    bool deaf = frozen || serial;
    struct pollfd p[] = {
        { .fd = f->wake[0], .events = POLLIN },
        /* While an answer is pending, only the end is of interest */
        { .fd = deaf ? -1 : f->ctrl,
          .events = f->ctrl_answer.bytes ? 0 : POLLIN },
        { .fd = deaf ? -1 : f->data,
          .events = f->data_answer.bytes ? 0 : POLLIN },
        { .fd = deaf || f->ctrl >= 0 ? -1 : f->listener, .events = POLLIN },
    };
    char bytes[16];

    if (poll(p, 4, tpm_io_poll_timeout(until)) <= 0) {
        return;
    }
    if (p[0].revents && read(p[0].fd, bytes, sizeof(bytes)) <= 0) {
        return;
    }
    if (p[1].revents || p[2].revents) {
        f->active_at = tpm_io_now();
    }
    if (p[2].revents) {
        read_data(f);
    } else if (p[1].revents) {
        read_ctrl(f);
    }
    if (p[3].revents) {
        take_connection(f, accept(p[3].fd, NULL, NULL));
    }
}

void *fake_thread(void *opaque)
{
    TpmFake *f = opaque;
    bool frozen;

    while (take_requests(f, &frozen)) {
        fake_wait(f, frozen, frozen ? TPM_IO_NEVER : serve_due(f));
    }
    close_all(f);
    fake_close(&f->listener);
    return NULL;
}
