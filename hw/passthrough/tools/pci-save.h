/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What msix-check reads of a host, in one file to take along
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifndef NEARMETAL_PCI_SAVE_H
#define NEARMETAL_PCI_SAVE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Of the host that a copy is from */
typedef struct PciHost {
    uint64_t page_size;
    bool mappable;
} PciHost;

/**
 * pci_save: write a tar archive
 * @root: the folder in the place of /sys
 * @addresses: of the devices
 *
 * Unpacked, it has a folder "sys" to be named by --sysfs.
 *
 * Returns: what is wrong, to be freed; NULL on success
 */
char *pci_save(const char *file, const char *root, GPtrArray *addresses,
               const PciHost *host);

/**
 * pci_saved_host: what a copy tells of its host
 * @host: changed if @root is such a copy
 */
void pci_saved_host(const char *root, PciHost *host);

#endif
