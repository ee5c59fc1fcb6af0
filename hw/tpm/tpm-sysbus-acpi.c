/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TPM on the platform bus in the DSDT, and what firmware learns of it
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Without PPI and interrupt a TPM 2.0 is described byte for byte as stock QEMU
 * does.
 */
#include "qemu/osdep.h"
#include "hw/acpi/tpm.h"
#include "crb-regs.h"
#include "tpm-sysbus.h"

static void build_identity(Aml *dev, TPMIf *tpm, bool ppi)
{
    if (tpm_get_version(tpm) == TPM_VERSION_1_2) {
        aml_append(dev, aml_name_decl("_HID", aml_eisaid("PNP0C31")));
    } else {
        aml_append(dev, aml_name_decl("_HID", aml_string("MSFT0101")));
        aml_append(dev, aml_name_decl("_STR", aml_string("TPM 2.0 Device")));
    }
    aml_append(dev, aml_name_decl("_UID", aml_int(ppi)));
    if (ppi) {
        aml_append(dev, aml_name_decl("_STA", aml_int(0xF)));
    }
}

static Aml *build_resources(TPMIf *tpm, PlatformBusDevice *pbus, int irq_base)
{
    SysBusDevice *sbdev = SYS_BUS_DEVICE(tpm);
    /* That of a CRB is longer than what it uses */
    uint32_t size = TPM_IS_CRB_SYSBUS(tpm) ? CRB_SIZE :
        memory_region_size(sysbus_mmio_get_region(sbdev, 0));
    Aml *crs = aml_resource_template();

    aml_append(crs, aml_memory32_fixed(tpm_sysbus_addr(sbdev, 0), size,
                                       AML_READ_WRITE));
    if (tpm_sysbus_flag(tpm, "interrupt")) {
        uint32_t gsi = irq_base + platform_bus_get_irqn(pbus, sbdev, 0);

        aml_append(crs, aml_interrupt(AML_CONSUMER, AML_LEVEL, AML_ACTIVE_HIGH,
                                      AML_EXCLUSIVE, &gsi, 1));
    }
    return crs;
}

void tpm_sysbus_build_aml(Aml *scope, PlatformBusDevice *pbus, int irq_base)
{
    TPMIf *tpm = tpm_find();
    Aml *dev;
    bool ppi;

    if (!tpm || !object_dynamic_cast(OBJECT(tpm), TYPE_SYS_BUS_DEVICE)) {
        return;
    }
    ppi = tpm_sysbus_flag(tpm, "ppi");
    dev = aml_device("TPM0");
    build_identity(dev, tpm, ppi);
    aml_append(dev, aml_name_decl("_CRS",
                                  build_resources(tpm, pbus, irq_base)));
    if (ppi) {
        tpm_build_ppi_acpi(tpm, dev);
    }
    aml_append(scope, dev);
}

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
