/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Bytes over stream sockets, with a deadline
 *
 * A deadline that must pass is short; one that must not is FAR away.
 */
#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "hw/tpm/tpm-io.h"

#define SHORT   100
#define FAR     60000
#define LARGE   (4 * 1024 * 1024)

typedef struct Pair {
    int a;
    int b;
} Pair;

static Pair pair(void)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    return (Pair) { fds[0], fds[1] };
}

static void pair_close(Pair p)
{
    close(p.a);
    close(p.b);
}

static int64_t in_ms(int64_t ms)
{
    return tpm_io_now() + ms;
}

static void test_partial(void)
{
    Pair p = pair();
    char buf[8];
    size_t got = 99;
    int64_t until = in_ms(SHORT);

    g_assert_cmpint(write(p.b, "abc", 3), ==, 3);
    g_assert_cmpint(tpm_io_recv(p.a, buf, 8, &got, until), ==,
                    TPM_IO_TIMEOUT);
    g_assert_cmpint(tpm_io_now(), >=, until);
    g_assert_cmpmem(buf, got, "abc", 3);
    g_assert_cmpint(write(p.b, "defgh", 5), ==, 5);
    /* What is there is received even after the deadline */
    g_assert_cmpint(tpm_io_recv(p.a, buf, 3, &got, 0), ==, TPM_IO_OK);
    g_assert_cmpmem(buf, got, "def", 3);
    g_assert_cmpint(tpm_io_recv_some(p.a, buf, 8, &got, 0), ==, TPM_IO_OK);
    g_assert_cmpmem(buf, got, "gh", 2);
    g_assert_cmpint(tpm_io_recv_some(p.a, buf, 8, &got, 0), ==,
                    TPM_IO_TIMEOUT);
    g_assert_cmpint(got, ==, 0);
    g_assert_cmpint(tpm_io_recv(p.a, buf, 0, &got, 0), ==, TPM_IO_OK);
    pair_close(p);
}

static void test_eof(void)
{
    Pair p = pair();
    char buf[8];
    size_t got;

    g_assert_cmpint(write(p.b, "abc", 3), ==, 3);
    close(p.b);
    g_assert_cmpint(tpm_io_recv(p.a, buf, 8, &got, in_ms(FAR)), ==,
                    TPM_IO_EOF);
    g_assert_cmpint(got, ==, 3);
    g_assert_cmpint(tpm_io_recv_some(p.a, buf, 8, &got, TPM_IO_NEVER), ==,
                    TPM_IO_EOF);
    /* No SIGPIPE, which would end this test */
    g_assert_cmpint(tpm_io_send(p.a, "x", 1, -1, in_ms(FAR)), ==, TPM_IO_EOF);
    close(p.a);
    g_assert_cmpint(tpm_io_recv(p.a, buf, 8, &got, in_ms(FAR)), ==,
                    TPM_IO_ERROR);
    g_assert_cmpint(errno, ==, EBADF);
}

static void test_send_full(void)
{
    Pair p = pair();
    g_autofree char *buf = g_malloc0(LARGE);

    g_assert_cmpint(tpm_io_send(p.a, buf, LARGE, -1, in_ms(SHORT)), ==,
                    TPM_IO_TIMEOUT);
    pair_close(p);
}

static gpointer drain(gpointer opaque)
{
    int fd = *(int *)opaque;
    g_autofree char *buf = g_malloc(LARGE);
    size_t got;

    g_assert_cmpint(tpm_io_recv(fd, buf, LARGE, &got, TPM_IO_NEVER), ==,
                    TPM_IO_OK);
    for (size_t i = 0; i < got; i++) {
        g_assert_cmpint(buf[i], ==, (char)(i >> 8));
    }
    return NULL;
}

static void on_signal(int sig)
{
}

/* More than fits at once, with signals all the time */
static void test_send_large(void)
{
    struct sigaction act = { .sa_handler = on_signal }, old;
    Pair p = pair();
    g_autofree char *buf = g_malloc(LARGE);
    GThread *t;
    timer_t timer;
    struct itimerspec often = { { 0, 200000 }, { 0, 200000 } };

    for (size_t i = 0; i < LARGE; i++) {
        buf[i] = i >> 8;
    }
    sigaction(SIGALRM, &act, &old);
    g_assert_cmpint(timer_create(CLOCK_MONOTONIC, NULL, &timer), ==, 0);
    timer_settime(timer, 0, &often, NULL);
    t = g_thread_new("drain", drain, &p.b);
    g_assert_cmpint(tpm_io_send(p.a, buf, LARGE, -1, in_ms(FAR)), ==,
                    TPM_IO_OK);
    g_thread_join(t);
    timer_delete(timer);
    sigaction(SIGALRM, &old, NULL);
    pair_close(p);
}

static void test_pass_fd(void)
{
    Pair p = pair(), q = pair();
    char byte[2], control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = { byte, 2 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
                          .msg_control = control,
                          .msg_controllen = sizeof(control) };
    size_t got;
    int fd;

    g_assert_cmpint(tpm_io_send(p.a, "xy", 2, q.a, in_ms(FAR)), ==,
                    TPM_IO_OK);
    g_assert_cmpint(recvmsg(p.b, &msg, 0), ==, 2);
    g_assert_nonnull(CMSG_FIRSTHDR(&msg));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
    g_assert_cmpint(write(fd, "!", 1), ==, 1);
    g_assert_cmpint(tpm_io_recv(q.b, byte, 1, &got, in_ms(FAR)), ==,
                    TPM_IO_OK);
    g_assert_cmpint(byte[0], ==, '!');
    /* Ours is still open */
    g_assert_cmpint(write(q.a, "?", 1), ==, 1);
    close(fd);
    pair_close(p);
    pair_close(q);
}

/* How many descriptors come with LARGE bytes */
static gpointer count_fds(gpointer opaque)
{
    g_autofree char *buf = g_malloc(LARGE);
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = { buf, LARGE };
    size_t sum = 0;
    int fd, count = 0;

    while (sum < LARGE) {
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = sizeof(control) };
        ssize_t n = recvmsg(*(int *)opaque, &msg, 0);

        g_assert_cmpint(n, >, 0);
        sum += n;
        if (CMSG_FIRSTHDR(&msg)) {
            memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
            close(fd);
            count++;
        }
    }
    return GINT_TO_POINTER(count);
}

static void test_pass_fd_once(void)
{
    Pair p = pair();
    g_autofree char *buf = g_malloc0(LARGE);
    GThread *t = g_thread_new("count", count_fds, &p.b);

    g_assert_cmpint(tpm_io_send(p.a, buf, LARGE, p.a, in_ms(FAR)), ==,
                    TPM_IO_OK);
    g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(t)), ==, 1);
    pair_close(p);
}

static void test_timeout(void)
{
    g_assert_cmpint(tpm_io_poll_timeout(TPM_IO_NEVER), ==, -1);
    g_assert_cmpint(tpm_io_poll_timeout(0), ==, 0);
    g_assert_cmpint(tpm_io_poll_timeout(tpm_io_now()), ==, 0);
    g_assert_cmpint(tpm_io_poll_timeout(TPM_IO_NEVER - 1), ==, G_MAXINT);
    g_assert_cmpint(tpm_io_poll_timeout(in_ms(FAR)), >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tpm-io/partial", test_partial);
    g_test_add_func("/tpm-io/eof", test_eof);
    g_test_add_func("/tpm-io/send-full", test_send_full);
    g_test_add_func("/tpm-io/send-large", test_send_large);
    g_test_add_func("/tpm-io/pass-fd", test_pass_fd);
    g_test_add_func("/tpm-io/pass-fd-once", test_pass_fd_once);
    g_test_add_func("/tpm-io/timeout", test_timeout);
    return g_test_run();
}
