/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Physical Presence Interface of a TPM on the platform bus
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include "qemu/memalign.h"
#include "qemu/units.h"
#include "migration/blocker.h"
#include "migration/misc.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "dcache.h"
#include "ppi-sysbus.h"

/*
 * The interface needs 0x400 bytes.  A whole page of the largest size that an
 * Arm host may have, so that hardware virtualization maps it on each of them
 * and VFIO sees no region off its pages; the same on all, for migration.
 */
#define PPI_SYSBUS_SIZE (64 * KiB)

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
