/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A made-up swtpm that misbehaves by a script
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
#include <sys/un.h>
#include "tpm-fake-private.h"

#define WAIT_US         (60 * G_USEC_PER_SEC)

static void fake_wake(TpmFake *f)
{
    while (write(f->wake[1], "", 1) < 0 && errno == EINTR) {
        /* again */
    }
}

TpmFake *tpm_fake_new(const char *script, char **error)
{
    FakeScript *s = fake_script_parse(script, error);
    TpmFake *f;

    if (!s) {
        return NULL;
    }
    f = g_new0(TpmFake, 1);
    f->script = s;
    f->tpm.old = s->old;
    f->tpm.established = s->established;
    f->tpm.caps = s->caps;
    f->tpm.buffer = s->buffer;
    fake_tpm_init(&f->tpm);
    /* 0.7 knows no CMD_LOCK_STORAGE */
    f->tpm.newer = s->newer || (s->caps & TPM_CTL_CAP_LOCK_STORAGE);
    if (s->has_storage) {
        f->tpm.storage = s->storage;
    }
    f->listener = f->next_listener = f->next_ctrl = f->ctrl = f->data = -1;
    f->command = g_byte_array_new();
    f->log = g_string_new(NULL);
    g_mutex_init(&f->lock);
    g_cond_init(&f->changed);
    if (pipe(f->wake) < 0) {
        g_error("pipe: %s", strerror(errno));
    }
    f->thread = g_thread_new("tpm-fake", fake_thread, f);
    return f;
}

void tpm_fake_free(TpmFake *f)
{
    g_mutex_lock(&f->lock);
    f->stop = true;
    g_mutex_unlock(&f->lock);
    fake_wake(f);
    tpm_fake_join(f);
    fake_close(&f->wake[0]);
    fake_close(&f->wake[1]);
    fake_close(&f->next_ctrl);
    fake_close(&f->next_listener);
    if (f->path) {
        unlink(f->path);
    }
    g_free(f->path);
    fake_tpm_free(&f->tpm);
    fake_script_free(f->script);
    g_byte_array_unref(f->command);
    g_string_free(f->log, true);
    g_mutex_clear(&f->lock);
    g_cond_clear(&f->changed);
    g_free(f);
}

int tpm_fake_pair(TpmFake *f)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        g_error("socketpair: %s", strerror(errno));
    }
    g_mutex_lock(&f->lock);
    fake_close(&f->next_ctrl);
    f->next_ctrl = fds[1];
    g_mutex_unlock(&f->lock);
    fake_wake(f);
    return fds[0];
}

bool tpm_fake_listen(TpmFake *f, const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(fd, 1) < 0) {
        fake_close(&fd);
        return false;
    }
    g_free(f->path);
    f->path = g_strdup(path);
    g_mutex_lock(&f->lock);
    f->next_listener = fd;
    g_mutex_unlock(&f->lock);
    fake_wake(f);
    return true;
}

char *tpm_fake_rule(TpmFake *f, const char *rules)
{
    char *error = NULL;
    FakeScript *s = fake_script_parse(rules, &error);

    if (!s) {
        return error;
    }
    g_mutex_lock(&f->lock);
    f->next_rules = s;
    fake_wake(f);
    while (f->next_rules && !f->stop) {
        g_cond_wait(&f->changed, &f->lock);
    }
    g_mutex_unlock(&f->lock);
    return NULL;
}

void tpm_fake_freeze(TpmFake *f, bool frozen)
{
    g_mutex_lock(&f->lock);
    f->frozen = frozen;
    fake_wake(f);
    while (f->is_frozen != frozen && !f->stop) {
        g_cond_wait(&f->changed, &f->lock);
    }
    g_mutex_unlock(&f->lock);
}

char *tpm_fake_log(TpmFake *f)
{
    char *log;

    g_mutex_lock(&f->lock);
    log = g_strdup(f->log->str);
    g_mutex_unlock(&f->lock);
    return log;
}

static unsigned log_count(const char *log, const char *start)
{
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);
    unsigned n = 0;

    for (char **line = lines; *line; line++) {
        n += g_str_has_prefix(*line, start);
    }
    return n;
}

bool tpm_fake_wait(TpmFake *f, const char *line, unsigned nth)
{
    int64_t until = g_get_monotonic_time() + WAIT_US;
    bool found, more = true;

    g_mutex_lock(&f->lock);
    while (!(found = log_count(f->log->str, line) >= nth) && more) {
        more = g_cond_wait_until(&f->changed, &f->lock, until);
    }
    g_mutex_unlock(&f->lock);
    return found;
}

void tpm_fake_log_to(TpmFake *f, FILE *file)
{
    g_mutex_lock(&f->lock);
    f->log_file = file;
    g_mutex_unlock(&f->lock);
}

void tpm_fake_join(TpmFake *f)
{
    if (f->thread) {
        g_thread_join(f->thread);
        f->thread = NULL;
    }
}
