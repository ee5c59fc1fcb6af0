/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "libqmp.h"
#include "qobject/qlist.h"
#include "qobject/qnum.h"
#include "qsd.h"

struct Qsd {
    pid_t pid;
    int fd;
};

static const char *qsd_binary(void)
{
    return getenv("QTEST_QEMU_STORAGE_DAEMON_BINARY");
}

bool qsd_available(void)
{
    return qsd_binary() && access(qsd_binary(), X_OK) == 0;
}

static void qsd_exec(const char *command)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Whoever waits for the end of our output must not wait for the daemon */
    close(STDOUT_FILENO);
    open("/dev/null", O_WRONLY);
    execlp("/bin/sh", "sh", "-c", command, NULL);
    _exit(1);
}

Qsd *qsd_start(const char *args)
{
    Qsd *qsd = g_new0(Qsd, 1);
    g_autofree char *command = NULL;
    QDict *greeting;
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    command = g_strdup_printf("exec %s --chardev socket,fd=%d,id=qmp "
                              "--monitor chardev=qmp %s", qsd_binary(),
                              pair[1], args);
    g_test_message("starting: %s", command);
    qsd->fd = pair[0];
    qsd->pid = fork();
    if (!qsd->pid) {
        close(pair[0]);
        qsd_exec(command);
    }
    g_assert_cmpint(qsd->pid, >, 0);
    close(pair[1]);

    greeting = qmp_fd_receive(qsd->fd);
    g_assert_true(qdict_haskey(greeting, "QMP"));
    qobject_unref(greeting);
    qobject_unref(qsd_qmp(qsd, "{ 'execute': 'qmp_capabilities' }"));
    return qsd;
}

QDict *qsd_qmp_receive(Qsd *qsd)
{
    QDict *rsp = qmp_fd_receive(qsd->fd);

    while (qdict_haskey(rsp, "event")) {
        qobject_unref(rsp);
        rsp = qmp_fd_receive(qsd->fd);
    }
    return rsp;
}

void qsd_qmp_send(Qsd *qsd, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    qmp_fd_vsend(qsd->fd, fmt, ap);
    va_end(ap);
}

QDict *qsd_qmp(Qsd *qsd, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    qmp_fd_vsend(qsd->fd, fmt, ap);
    va_end(ap);
    return qsd_qmp_receive(qsd);
}

uint64_t qsd_counter(Qsd *qsd, const char *path, const char *name)
{
    QDict *rsp = qsd_qmp(qsd, "{ 'execute': 'query-stats', 'arguments': {"
                         "'target': 'iothread', 'iothreads': [%s], "
                         "'providers': [{ 'provider': 'iothread', "
                         "'names': [%s] }] }}", path, name);
    QDict *result = qobject_to(QDict,
                               qlist_peek(qdict_get_qlist(rsp, "return")));
    QDict *stat = qobject_to(QDict,
                             qlist_peek(qdict_get_qlist(result, "stats")));
    uint64_t n = qnum_get_uint(qobject_to(QNum, qdict_get(stat, "value")));

    qobject_unref(rsp);
    return n;
}

void qsd_kill(Qsd *qsd)
{
    kill(qsd->pid, SIGKILL);
    g_assert_cmpint(waitpid(qsd->pid, NULL, 0), ==, qsd->pid);
    close(qsd->fd);
    g_free(qsd);
}

void qsd_quit(Qsd *qsd)
{
    int status;

    qobject_unref(qsd_qmp(qsd, "{ 'execute': 'quit' }"));
    g_assert_cmpint(waitpid(qsd->pid, &status, 0), ==, qsd->pid);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
    close(qsd->fd);
    g_free(qsd);
}
