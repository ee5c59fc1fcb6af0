/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A QMP client that asks all the time, to see that QEMU always answers
 */
#include "qemu/osdep.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "tpm-ask.h"

#define HANG_MS 30000
#define PAUSE_US 10000
#define WAIT_US (60 * G_USEC_PER_SEC)

struct TpmAsk {
    GThread *thread;
    int fd;
    GString *line;          /* what came of it, the thread's */

    GMutex lock;            /* protects what follows */
    GCond changed;
    unsigned answers;
    int64_t longest_ms;
    bool gone;              /* QEMU has closed the connection */
    bool stop;
};

static bool ask_line(TpmAsk *a)
{
    struct pollfd p = { .fd = a->fd, .events = POLLIN };
    char byte;

    g_string_truncate(a->line, 0);
    for (;;) {
        int n = poll(&p, 1, HANG_MS);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n == 0) {
            /* This ends QEMU, too; nothing else would end the test */
            g_error("QMP did not answer for %d ms", HANG_MS);
        }
        if (read(a->fd, &byte, 1) != 1) {
            return false;
        }
        if (byte == '\n') {
            return true;
        }
        g_string_append_c(a->line, byte);
    }
}

/* Events are skipped */
static bool ask_one(TpmAsk *a, const char *command)
{
    size_t len = strlen(command);

    if (send(a->fd, command, len, MSG_NOSIGNAL) != len) {
        return false;
    }
    do {
        if (!ask_line(a)) {
            return false;
        }
    } while (!g_str_has_prefix(a->line->str, "{\"return\""));
    return true;
}

static bool ask_count(TpmAsk *a, bool answered, int64_t took_ms)
{
    bool more;

    g_mutex_lock(&a->lock);
    a->gone = !answered;
    a->answers += answered;
    a->longest_ms = MAX(a->longest_ms, took_ms);
    more = answered && !a->stop;
    g_cond_broadcast(&a->changed);
    g_mutex_unlock(&a->lock);
    return more;
}

static void *ask_thread(void *opaque)
{
    TpmAsk *a = opaque;
    bool more = ask_line(a) &&
                ask_one(a, "{\"execute\":\"qmp_capabilities\"}\n");

    while (more) {
        int64_t start = g_get_monotonic_time();
        bool answered = ask_one(a, "{\"execute\":\"query-status\"}\n");

        more = ask_count(a, answered,
                         (g_get_monotonic_time() - start) / 1000);
        g_usleep(PAUSE_US);
    }
    return NULL;
}

TpmAsk *tpm_ask_start(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    TpmAsk *a = g_new0(TpmAsk, 1);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(a->fd, (struct sockaddr *)&addr, sizeof(addr)),
                    ==, 0);
    a->line = g_string_new(NULL);
    g_mutex_init(&a->lock);
    g_cond_init(&a->changed);
    a->thread = g_thread_new("tpm-ask", ask_thread, a);
    return a;
}

void tpm_ask_more(TpmAsk *a, unsigned n)
{
    int64_t until = g_get_monotonic_time() + WAIT_US;
    int64_t longest;
    unsigned target;
    bool gone, late = false;

    g_mutex_lock(&a->lock);
    /* The next answer may be to a question asked before */
    target = a->answers + n + 1;
    while (a->answers < target && !a->gone && !late) {
        late = !g_cond_wait_until(&a->changed, &a->lock, until);
    }
    longest = a->longest_ms;
    gone = a->gone;
    g_mutex_unlock(&a->lock);
    g_assert_false(gone);
    g_assert_false(late);
    g_assert_cmpint(longest, <, TPM_ASK_LIMIT_MS);
}

void tpm_ask_stop(TpmAsk *a)
{
    g_mutex_lock(&a->lock);
    a->stop = true;
    g_mutex_unlock(&a->lock);
    g_thread_join(a->thread);
    g_assert_cmpint(a->longest_ms, <, TPM_ASK_LIMIT_MS);
    close(a->fd);
    g_string_free(a->line, true);
    g_mutex_clear(&a->lock);
    g_cond_clear(&a->changed);
    g_free(a);
}
