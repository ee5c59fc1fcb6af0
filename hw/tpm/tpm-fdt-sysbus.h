/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TPM on the platform bus in the device tree
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_FDT_SYSBUS_H
#define NEARMETAL_TPM_FDT_SYSBUS_H

#include "hw/platform-bus.h"
#include "hw/sysbus.h"
#include "sysbus-addr.h"

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

#endif
