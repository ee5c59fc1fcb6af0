/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Files that a machine offers its firmware
 */
#ifndef NEARMETAL_FW_CFG_FILE_H
#define NEARMETAL_FW_CFG_FILE_H

#include "libqtest.h"

/* Contents of fw_cfg's file @name of pc, q35 or virt; NULL: there is none */
GByteArray *fw_cfg_file(QTestState *qts, const char *name);

#endif
