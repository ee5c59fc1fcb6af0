/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What firmware learns of the Physical Presence Interface
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_FW_CFG_H
#define NEARMETAL_TPM_FW_CFG_H

#include "hw/nvram/fw_cfg.h"
#include "system/tpm.h"

#ifdef CONFIG_TPM
/* Add etc/tpm/config if @tpm has its ppi on; NULL: there is no TPM */
void tpm_fw_cfg_add_config(FWCfgState *fw_cfg, TPMIf *tpm);
#endif

#endif
