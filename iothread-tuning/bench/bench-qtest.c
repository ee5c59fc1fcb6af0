/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * QEMU's test protocol
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bench-qtest.h"

/* Appends what has arrived; the disk must go on meanwhile */
static void qtest_receive(Qtest *qts, int64_t deadline)
{
    struct pollfd pfd = { .fd = qts->in, .events = POLLIN };
    ssize_t len;

    while (poll(&pfd, 1, 1) == 0) {
        qts->idle(qts->opaque);
        if (now_ns() > deadline) {
            bench_die("QEMU does not answer; is it stopped?");
        }
    }
    len = read(qts->in, qts->buf + qts->have,
               sizeof(qts->buf) - 1 - qts->have);
    if (len <= 0) {
        bench_die("QEMU ended; its own message is above");
    }
    qts->have += len;
    qts->buf[qts->have] = 0;
}

/* Returns: the value in the next answer, 0 if it has none */
static uint64_t qtest_answer(Qtest *qts)
{
    int64_t deadline = now_ns() + BENCH_TIMEOUT_NS;
    uint64_t value = 0;
    char *end;

    while (!(end = memchr(qts->buf, '\n', qts->have))) {
        if (qts->have == sizeof(qts->buf) - 1) {
            bench_die("QEMU's answer is too long");
        }
        qtest_receive(qts, deadline);
    }
    *end = 0;
    if (strncmp(qts->buf, "OK", 2)) {
        bench_die("QEMU refused an access: %s", qts->buf);
    }
    sscanf(qts->buf, "OK %" SCNi64, &value);
    qts->have -= end + 1 - qts->buf;
    memmove(qts->buf, end + 1, qts->have);
    return value;
}

static uint64_t __attribute__((format(printf, 2, 3)))
qtest_command(Qtest *qts, const char *fmt, ...)
{
    char line[128];
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (write(qts->out, line, len) != len) {
        bench_die("QEMU ended; its own message is above");
    }
    return qtest_answer(qts);
}

void qtest_out32(Qtest *qts, uint16_t port, uint32_t value)
{
    qtest_command(qts, "outl 0x%x 0x%x\n", port, value);
}

uint32_t qtest_in32(Qtest *qts, uint16_t port)
{
    return qtest_command(qts, "inl 0x%x\n", port);
}

static char size_letter(unsigned size)
{
    return size == 1 ? 'b' : size == 2 ? 'w' : size == 4 ? 'l' : 'q';
}

void qtest_write(Qtest *qts, uint64_t addr, unsigned size, uint64_t value)
{
    qtest_command(qts, "write%c 0x%" PRIx64 " 0x%" PRIx64 "\n",
                  size_letter(size), addr, value);
}

uint64_t qtest_read(Qtest *qts, uint64_t addr, unsigned size)
{
    return qtest_command(qts, "read%c 0x%" PRIx64 "\n", size_letter(size),
                         addr);
}
