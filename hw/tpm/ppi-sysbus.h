/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical Presence Interface of a TPM on the platform bus
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_PPI_SYSBUS_H
#define NEARMETAL_TPM_PPI_SYSBUS_H

#include "hw/sysbus.h"
#include "hw/tpm/tpm_ppi.h"

/* Which of the device's MMIO regions it is */
#define TPM_PPI_SYSBUS_MMIO     1

/* What help says of the properties "ppi" and "interrupt" */
#define TPM_PPI_SYSBUS_TEXT \
    "Physical Presence Interface, with which the OS has memory wiped at a reset"
#define TPM_SYSBUS_INTERRUPT_TEXT \
    "tell the guest of the interrupt, in ACPI and device tree"

/*
 * Give @sbdev, when it is realized, the memory that the OS and the firmware
 * use to talk to each other.  It is zero at power-on, stays over resets and
 * migrates as RAM.
 */
void tpm_ppi_init_sysbus(TPMPPI *ppi, SysBusDevice *sbdev);

/* Memory of devices is neither sent nor kept in cpr-transfer: refuse that */
void tpm_sysbus_block_cpr(const char *device);

#endif
