/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pure modules use of QEMU's qemu/osdep.h, for their native unit tests
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * A module that includes no other header of QEMU's builds with either.
 */
#ifndef NEARMETAL_UNIT_OSDEP_H
#define NEARMETAL_UNIT_OSDEP_H

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#endif
