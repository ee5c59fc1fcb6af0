/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TPM's state for "info tpm"
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_HMP_H
#define NEARMETAL_TPM_HMP_H

#include "monitor/monitor.h"
#include "qapi/qapi-types-tpm.h"

#ifdef CONFIG_TPM
void tpm_hmp_show_state(Monitor *mon, const TPMInfo *info);
#endif

#endif
