/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What others ask about a TPM's front end: places and properties
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include "qapi/error.h"
#include COMPAT_MEMORY_H
#include "hw/acpi/tpm.h"
#include "ppi-sysbus.h"
#include "sysbus-addr.h"

hwaddr tpm_sysbus_addr(SysBusDevice *sbdev, int n)
{
    MemoryRegion *mr = sysbus_mmio_get_region(sbdev, n);
    hwaddr addr = 0;

    for (; mr; mr = mr->container) {
        addr += mr->addr;
    }
    return addr;
}

hwaddr tpm_ppi_base(TPMIf *tpm)
{
    Object *sbdev = object_dynamic_cast(OBJECT(tpm), TYPE_SYS_BUS_DEVICE);

    return sbdev ? tpm_sysbus_addr(SYS_BUS_DEVICE(sbdev), TPM_PPI_SYSBUS_MMIO)
                 : TPM_PPI_ADDR_BASE;
}

bool tpm_sysbus_flag(TPMIf *tpm, const char *name)
{
    return tpm && object_property_find(OBJECT(tpm), name) &&
           object_property_get_bool(OBJECT(tpm), name, &error_abort);
}
