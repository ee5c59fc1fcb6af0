/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X relocation of vfio-pci devices
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * All of it runs under the big QEMU lock: realize and finalize in the main
 * thread, queries in the monitor's, and trapped accesses in that of a vCPU.
 */

#ifndef NEARMETAL_VFIO_MSIX_RELOCATION_H
#define NEARMETAL_VFIO_MSIX_RELOCATION_H

#include "hw/vfio/pci.h"
#include "hw/qdev-properties.h"
#include "msix-plan.h"

/*
 * x-msix-relocation: given for a device of its own, it is an order; given for
 * all (-global, or a machine's default), it is a wish, and a device that it
 * does not suit goes without
 */
extern const PropertyInfo vfio_msix_relocation_prop;

/* A part of a BAR that traps; see VfioMsixTrap in the QAPI schema */
typedef struct VFIOMsixTrap {
    uint8_t bar;
    uint64_t offset;
    uint64_t size;
    bool small_bar;     /* as long as the BAR does not begin a host page */
    bool pba;           /* as long as a masked vector is pending */
    uint64_t reads;
    uint64_t writes;
} VFIOMsixTrap;

typedef struct VFIOMsixState {
    MsixLayout layout;
    MsixPlan plan;
    char *reason;
    GArray *traps;      /* of VFIOMsixTrap; NULL: not set up */
    /*
     * Accesses to registers in the host pages that hold table or PBA of the
     * device, as far as they trapped, and where the first of them went
     */
    uint64_t shared_accesses;
    uint64_t shared_offset;
    uint8_t shared_bar;
} VFIOMsixState;

/**
 * vfio_msix_relocation_init: decide where table and PBA go, and say so in
 * @vdev->msix and @vdev->bars
 *
 * To be called before the BARs are registered; @vdev->msix is as the device
 * has it, or NULL.  The decision is what vfio_msix_relocated() and the queries
 * tell from then on.
 *
 * Returns: false if the device cannot be used, or not as it was asked for
 */
bool vfio_msix_relocation_init(VFIOPCIDevice *vdev, Error **errp);

/* vfio_msix_relocated: are table and PBA where only the guest sees them? */
bool vfio_msix_relocated(const VFIOPCIDevice *vdev);

/**
 * vfio_msix_reason: why relocating was done, or was not, and what the counters
 * say about it; to be freed
 */
char *vfio_msix_reason(VFIOPCIDevice *vdev);

/**
 * vfio_msix_explain: @errp says that the layout is invalid; add what can be
 * done about it
 */
void vfio_msix_explain(VFIOPCIDevice *vdev, Error **errp);

/* vfio_msix_class_init: the read-only properties */
void vfio_msix_class_init(ObjectClass *klass);

/* vfio_msix_free: after the device's memory regions are gone */
void vfio_msix_free(VFIOPCIDevice *vdev);

/**
 * vfio_msix_traps_init: find what traps, and count accesses to it
 *
 * To be called at the end of realize.  What does not trap costs nothing.
 */
void vfio_msix_traps_init(VFIOPCIDevice *vdev);

/* vfio_msix_trap_active: a small BAR or a PBA's page may be mapped at times */
bool vfio_msix_trap_active(VFIOPCIDevice *vdev, const VFIOMsixTrap *trap);

#endif
