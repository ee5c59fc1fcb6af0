/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the MSI-X table of a passthrough device should be for its guest
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic: GLib only, any thread.  hw/vfio/pci.c asks it while a vfio-pci
 * device is realized, scripts/msix-check before a VM is started.
 *
 * QEMU emulates the MSI-X table and the PBA (PCI 3.0, 6.8.2; PCIe 6.0, 7.7.2).
 * The host pages that hold them cannot be mapped into the guest as a whole, so
 * that accesses to whatever else is there trap.  Relocating shows the guest
 * both structures in a BAR of their own, or in the second half of a BAR that
 * was made larger.
 */

#ifndef NEARMETAL_MSIX_PLAN_H
#define NEARMETAL_MSIX_PLAN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define MSIX_PLAN_BARS          6

/* Table entries of a device at most (11 bits, PCI 3.0, 6.8.2.3) */
#define MSIX_PLAN_MAX_ENTRIES   2048

/* A base address register of the device, as the host kernel reports it */
typedef struct MsixBar {
    uint64_t size;          /* bytes; 0: free, or upper half of a 64-bit one */
    bool ioport;
    bool mem64;
    bool prefetch;
    bool mmap;              /* the host lets it be mapped, see @mappable */
} MsixBar;

typedef struct MsixLayout {
    MsixBar bar[MSIX_PLAN_BARS];
    unsigned entries;       /* 0: the device has no MSI-X */
    unsigned table_bar;     /* BIR, 0 to 7: 6 and 7 are reserved */
    unsigned pba_bar;
    uint32_t table_offset;  /* bytes */
    uint32_t pba_offset;
    uint64_t host_page_size;
    /*
     * VFIO_REGION_INFO_CAP_MSIX_MAPPABLE: the host kernel lets the pages of
     * the table be mapped, too
     */
    bool mappable;
    bool nvme;              /* class 01:08:02: where registers are is known */
    /*
     * The guest was seen to access registers that share a host page with the
     * table or the PBA
     */
    bool seen_sharing;
} MsixLayout;

/* In the order of QEMU's OffAutoPCIBAR */
typedef enum MsixRequest {
    MSIX_REQUEST_OFF,
    MSIX_REQUEST_AUTO,
    MSIX_REQUEST_BAR0,
    MSIX_REQUEST_BAR5 = MSIX_REQUEST_BAR0 + MSIX_PLAN_BARS - 1,
} MsixRequest;

typedef enum MsixNeed {
    MSIX_NEED_NONE,         /* the device has no MSI-X */
    MSIX_NEED_REQUIRED,     /* the layout is invalid */
    MSIX_NEED_HELPS,        /* registers share a host page with MSI-X */
    MSIX_NEED_NO_HELP,      /* they do, and relocating does not change it */
    MSIX_NEED_NOT_NEEDED,   /* none are known to */
} MsixNeed;

typedef struct MsixPlan {
    MsixNeed need;
    bool relocate;
    /* The rest is valid if @relocate */
    unsigned bar;           /* table and PBA go here */
    bool new_bar;           /* the device itself does not have it */
    bool mem64;
    bool prefetch;
    uint64_t bar_size;      /* bytes, a power of two */
    uint32_t table_offset;  /* a multiple of the host page size */
    uint32_t pba_offset;
} MsixPlan;

/**
 * msix_table_size, msix_pba_size: bytes that @entries take (PCI 3.0, 6.8.2)
 */
uint64_t msix_table_size(unsigned entries);
uint64_t msix_pba_size(unsigned entries);

/**
 * msix_layout_fault: what is wrong with the places of table and PBA
 *
 * Returns: the fault in words, to be freed; NULL if there is none
 */
char *msix_layout_fault(const MsixLayout *l);

/**
 * msix_layout_stuck: does the layout name a BAR that does not exist?  Such
 * a device cannot be used at all without relocating.
 */
bool msix_layout_stuck(const MsixLayout *l);

/**
 * msix_bar_usable: can table and PBA be relocated to @bar?
 * @why: where to put the reason why not, to be freed; may be NULL
 */
bool msix_bar_usable(const MsixLayout *l, unsigned bar, char **why);

/**
 * msix_usable_bars: the BARs that table and PBA can be relocated to, as
 * x-msix-relocation takes them: "bar2, bar4", or "none"; to be freed
 */
char *msix_usable_bars(const MsixLayout *l);

/**
 * msix_plan_make: decide
 * @request: what the user wants
 * @plan: filled in
 * @reason: filled in: why, in words, to be freed
 * @error: filled in on failure: what cannot be done, and the BARs that would
 *         work; to be freed
 *
 * The same layout and request give the same plan.  With MSIX_REQUEST_OFF,
 * @plan tells what relocating would do for this device in @need, and does not
 * relocate.
 *
 * Returns: true on success
 */
bool msix_plan_make(const MsixLayout *l, MsixRequest request, MsixPlan *plan,
                    char **reason, char **error);

#endif
