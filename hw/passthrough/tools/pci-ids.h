/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of PCI devices from the file pci.ids
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifndef NEARMETAL_PCI_IDS_H
#define NEARMETAL_PCI_IDS_H

/**
 * pci_ids_name: "Vendor Model", or "Vendor" if the model is not known
 * @path: of pci.ids; NULL: where distributions have it
 *
 * Returns: the name, to be freed; NULL if neither is known or there is no file
 */
char *pci_ids_name(const char *path, unsigned vendor, unsigned device);

#endif
