/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TPM on the platform bus in the DSDT
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_ACPI_SYSBUS_H
#define NEARMETAL_TPM_ACPI_SYSBUS_H

#include "hw/acpi/aml-build.h"
#include "hw/platform-bus.h"

/*
 * Add the machine's TPM, if it is one on @pbus, to @scope.
 * @irq_base: global system interrupt of the bus' first line
 */
void tpm_sysbus_build_aml(Aml *scope, PlatformBusDevice *pbus, int irq_base);

#endif
