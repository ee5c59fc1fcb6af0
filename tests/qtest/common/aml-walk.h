/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What ACPI tables and a device in the DSDT say
 */
#ifndef NEARMETAL_AML_WALK_H
#define NEARMETAL_AML_WALK_H

typedef struct AmlSpan {
    const uint8_t *data;        /* NULL: there is none */
    size_t size;
} AmlSpan;

/* A table of etc/acpi/tables with its header */
AmlSpan acpi_table(const GByteArray *tables, const char *signature);

/* The device @name (4 letters) of a DSDT, from its opcode to its end */
AmlSpan aml_device(AmlSpan dsdt, const char *name);

/* Names of what a device consists of, in their order, with a space between */
char *aml_names(AmlSpan device);

/*
 * What a device's Name() or OperationRegion() @name is: the object's bytes or
 * the region's from its address space on
 */
AmlSpan aml_object(AmlSpan device, const char *name);

uint64_t aml_integer(AmlSpan object);
const char *aml_string(AmlSpan object);

/* The descriptor of resource @tag in a _CRS, with its three first bytes */
AmlSpan aml_resource(AmlSpan crs, uint8_t tag);

#define AML_MEMORY32_FIXED      0x86
#define AML_EXTENDED_INTERRUPT  0x89

#endif
