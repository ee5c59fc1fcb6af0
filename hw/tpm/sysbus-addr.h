/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What others ask about a TPM's front end: places and properties
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_SYSBUS_ADDR_H
#define NEARMETAL_TPM_SYSBUS_ADDR_H

#include "exec/hwaddr.h"
#include "hw/sysbus.h"
#include "system/tpm.h"

/* Not a TPM_IS_CRB(): that one is at a fixed address, off its pages */
#define TYPE_TPM_CRB_SYSBUS "tpm-crb-device"
#define TPM_IS_CRB_SYSBUS(obj) \
    object_dynamic_cast(OBJECT(obj), TYPE_TPM_CRB_SYSBUS)

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

#endif /* CONFIG_TPM */

#endif
