/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TPM on the platform bus: where it is, and how the guest is told
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * All in the main thread, under the BQL.
 */
#ifndef NEARMETAL_TPM_SYSBUS_H
#define NEARMETAL_TPM_SYSBUS_H

#include "hw/acpi/aml-build.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/platform-bus.h"
#include "hw/sysbus.h"
#include "hw/tpm/tpm_ppi.h"
#include "system/tpm.h"

/* Not a TPM_IS_CRB(): that one is at a fixed address, off its pages */
#define TYPE_TPM_CRB_SYSBUS "tpm-crb-device"
#define TPM_IS_CRB_SYSBUS(obj) \
    object_dynamic_cast(OBJECT(obj), TYPE_TPM_CRB_SYSBUS)

/* What help says of the properties "ppi" and "interrupt" */
#define TPM_PPI_SYSBUS_TEXT \
    "Physical Presence Interface, with which the OS has memory wiped at a reset"
#define TPM_SYSBUS_INTERRUPT_TEXT \
    "tell the guest of the interrupt, in ACPI and device tree"

#ifdef CONFIG_TPM

/*
 * Guest physical address of region @n of @sbdev, which is mapped.  Any machine,
 * whatever bus has placed it.
 */
hwaddr tpm_sysbus_addr(SysBusDevice *sbdev, int n);

/* Of the page of the Physical Presence Interface of @tpm, whose ppi is on */
hwaddr tpm_ppi_base(TPMIf *tpm);

/* Is property @name, which not each front end has, set on @tpm? NULL: no */
bool tpm_sysbus_flag(TPMIf *tpm, const char *name);

/*
 * Give @sbdev, when it is realized, the memory that the OS and the firmware
 * use to talk to each other.  It is zero at power-on, stays over resets and
 * migrates as RAM.
 */
void tpm_ppi_init_sysbus(TPMPPI *ppi, SysBusDevice *sbdev);

/* Memory of devices is neither sent nor kept in cpr-transfer: refuse that */
void tpm_sysbus_block_cpr(const char *device);

/*
 * Add the machine's TPM, if it is one on @pbus, to @scope of the DSDT.
 * @irq_base: global system interrupt of the bus' first line
 */
void tpm_sysbus_build_aml(Aml *scope, PlatformBusDevice *pbus, int irq_base);

/* Add etc/tpm/config if @tpm has its ppi on; NULL: there is no TPM */
void tpm_fw_cfg_add_config(FWCfgState *fw_cfg, TPMIf *tpm);

/*
 * Describe the interrupt of @sbdev in its node @name below @bus if its property
 * interrupt is on.  Ends QEMU where the interrupt controller is not known.
 * @irq_start: the bus' first line
 */
void tpm_fdt_add_interrupt(void *fdt, const char *bus, const char *name,
                           PlatformBusDevice *pbus, SysBusDevice *sbdev,
                           int irq_start);

/* The node of a tpm-crb-device below @bus */
void tpm_fdt_add_crb(void *fdt, const char *bus, PlatformBusDevice *pbus,
                     SysBusDevice *sbdev);

#endif /* CONFIG_TPM */

#endif
