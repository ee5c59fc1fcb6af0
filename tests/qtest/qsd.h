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

/* The value of the counter @name of the IOThread at QOM path @path */
uint64_t qsd_counter(Qsd *qsd, const char *path, const char *name);

/* Asserts that the daemon ends by itself, with status 0 */
void qsd_quit(Qsd *qsd);

#endif /* NEARMETAL_QTEST_QSD_H */
