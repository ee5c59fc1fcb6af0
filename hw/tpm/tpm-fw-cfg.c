/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What firmware learns of the Physical Presence Interface
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "hw/acpi/tpm.h"
#include "sysbus-addr.h"
#include "tpm-fw-cfg.h"

/* As docs/specs/tpm.rst has it, little endian */
typedef struct TpmFwCfgConfig {
    uint32_t ppi_address;
    uint8_t tpm_version;
    uint8_t ppi_version;
} QEMU_PACKED TpmFwCfgConfig;

void tpm_fw_cfg_add_config(FWCfgState *fw_cfg, TPMIf *tpm)
{
    TpmFwCfgConfig *config;

    if (!tpm_sysbus_flag(tpm, "ppi")) {
        return;
    }
    config = g_new(TpmFwCfgConfig, 1);
    *config = (TpmFwCfgConfig) {
        .ppi_address = cpu_to_le32(tpm_ppi_base(tpm)),
        .tpm_version = tpm_get_version(tpm),
        .ppi_version = TPM_PPI_VERSION_1_30,
    };
    /* fw_cfg keeps it for good */
    fw_cfg_add_file(fw_cfg, "etc/tpm/config", config, sizeof(*config));
}
