/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A qemu-storage-daemon run by a test, and its monitor
 */
#ifndef NEARMETAL_QTEST_QSD_H
#define NEARMETAL_QTEST_QSD_H

#include "qobject/qdict.h"

typedef struct Qsd Qsd;

/* Is there a daemon to run? (environment QTEST_QEMU_STORAGE_DAEMON_BINARY) */
bool qsd_available(void);

/**
 * qsd_start: run the daemon with these arguments, in the shell's syntax
 *
 * It has a monitor, and does not outlive this process.
 */
Qsd *qsd_start(const char *args);

/* Runs a command, a JSON object with interpolation as for qtest_qmp() */
QDict *qsd_qmp(Qsd *qsd, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* The same in two: the daemon may take its time for the answer */
void qsd_qmp_send(Qsd *qsd, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
QDict *qsd_qmp_receive(Qsd *qsd);

/* The value of the counter @name of the IOThread at QOM path @path */
uint64_t qsd_counter(Qsd *qsd, const char *path, const char *name);

/* Kills the daemon with SIGKILL and waits until it is gone */
void qsd_kill(Qsd *qsd);

/* Asserts that the daemon ends by itself, with status 0 */
void qsd_quit(Qsd *qsd);

#endif /* NEARMETAL_QTEST_QSD_H */
