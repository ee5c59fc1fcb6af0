/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TPM on the platform bus: its places, its properties and the page of its
 * Physical Presence Interface
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include "qemu/memalign.h"
#include "qemu/units.h"
#include COMPAT_MEMORY_H
#include "hw/acpi/tpm.h"
#include "migration/blocker.h"
#include "migration/misc.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "dcache.h"
#include "tpm-sysbus.h"

/* Which of the device's MMIO regions is the page */
#define PPI_SYSBUS_MMIO 1

/*
 * The interface needs 0x400 bytes.  A whole page of the largest size that an
 * Arm host may have, so that hardware virtualization maps it on each of them
 * and VFIO sees no region off its pages; the same on all, for migration.
 */
#define PPI_SYSBUS_SIZE (64 * KiB)

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

    return sbdev ? tpm_sysbus_addr(SYS_BUS_DEVICE(sbdev), PPI_SYSBUS_MMIO)
                 : TPM_PPI_ADDR_BASE;
}

bool tpm_sysbus_flag(TPMIf *tpm, const char *name)
{
    return tpm && object_property_find(OBJECT(tpm), name) &&
           object_property_get_bool(OBJECT(tpm), name, &error_abort);
}

void tpm_ppi_init_sysbus(TPMPPI *ppi, SysBusDevice *sbdev)
{
    ppi->buf = qemu_memalign(PPI_SYSBUS_SIZE, PPI_SYSBUS_SIZE);
    memset(ppi->buf, 0, PPI_SYSBUS_SIZE);
    dcache_clean(ppi->buf, PPI_SYSBUS_SIZE);
    tpm_sysbus_block_cpr(object_get_typename(OBJECT(sbdev)));
    /* Memory of a device: the wipe of the guest's RAM passes it by */
    memory_region_init_ram_device_ptr(&ppi->ram, OBJECT(sbdev), "tpm-ppi",
                                      PPI_SYSBUS_SIZE, ppi->buf);
    vmstate_register_ram(&ppi->ram, DEVICE(sbdev));
    sysbus_init_mmio(sbdev, &ppi->ram);
}

void tpm_sysbus_block_cpr(const char *device)
{
    /* One TPM is all a machine may have */
    static Error *blocker;

    if (!blocker) {
        error_setg(&blocker, "%s: memory that the guest shares with it is not "
                   "kept in migration mode cpr-transfer", device);
        compat_block_mode(&blocker, MIG_MODE_CPR_TRANSFER, NULL);
    }
}
