/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What a flattened device tree says
 */
#ifndef NEARMETAL_FDT_READ_H
#define NEARMETAL_FDT_READ_H

#include "libqtest.h"

/* The machine's, to be freed */
char *fdt_fetch(QTestState *qts, gsize *size);

/* Property @name of node @path. Returns: NULL, there is none; *@size: bytes */
const char *fdt_property(const char *dtb, const char *path, const char *name,
                         uint32_t *size);

/* Cell @n of the property, which is at least that long */
uint32_t fdt_cell(const char *dtb, const char *path, const char *name,
                  unsigned n);

/* Names of the nodes right below @path, with a space between */
char *fdt_children(const char *dtb, const char *path);

#endif
