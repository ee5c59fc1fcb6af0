/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host's sysfs says about a PCI device, as far as MSI-X needs it
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * GLib only.  The parsers take bytes from anywhere: every length and every
 * pointer in them is checked.
 */

#ifndef NEARMETAL_PCI_SYSFS_H
#define NEARMETAL_PCI_SYSFS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "../msix-plan.h"

typedef struct PciDevice {
    char *address;          /* "0000:01:00.0" */
    unsigned vendor;
    unsigned device;
    unsigned class_code;    /* 24 bits: class, subclass, interface */
    int numa_node;          /* -1: unknown */
    char *driver;           /* NULL: none */
    char *model;            /* NULL: unknown; see pci-ids.h */
    bool hidden;            /* only root can read all of config */
    bool bridge;
    MsixLayout layout;      /* but host_page_size and mappable */
} PciDevice;

/**
 * pci_address: a PCI address in full
 * @text: "0000:01:00.0", or without the domain "01:00.0"
 *
 * Returns: the address, to be freed; NULL if @text is none
 */
char *pci_address(const char *text);

/**
 * pci_parse_resource: BARs from sysfs' file "resource"
 * @bar: filled in for six BARs on success
 *
 * Returns: what is wrong with @text, to be freed; NULL on success
 */
char *pci_parse_resource(const char *text, uint64_t page_size, MsixBar *bar);

/**
 * pci_parse_config: identity and MSI-X from the configuration space
 * @config: @len bytes from offset 0
 * @dev: filled in
 *
 * Returns: what is wrong, to be freed; NULL on success
 */
char *pci_parse_config(const uint8_t *config, size_t len, PciDevice *dev);

/**
 * pci_device_read: a device from a sysfs
 * @root: the folder in the place of /sys
 * @address: as from pci_address
 * @page_size: the host's
 * @dev: filled in on success; pci_device_clear it
 *
 * Returns: what is wrong, to be freed; NULL on success
 */
char *pci_device_read(const char *root, const char *address,
                      uint64_t page_size, PciDevice *dev);

bool pci_device_exists(const char *root, const char *address);

void pci_device_clear(PciDevice *dev);

/**
 * pci_device_addresses: the addresses of all devices of a sysfs, in order
 * @error: what is wrong, to be freed, if NULL is returned
 */
GPtrArray *pci_device_addresses(const char *root, char **error);

#endif
