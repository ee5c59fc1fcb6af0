/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU topology in ACPI tables
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Whoever builds the tables, under the BQL.
 */

#ifndef NEARMETAL_TOPOLOGY_ACPI_H
#define NEARMETAL_TOPOLOGY_ACPI_H

#include "hw/acpi/aml-build.h"
#include "hw/boards.h"

/**
 * topology_acpi_pptt: a PPTT of what the machine was asked to tell
 *
 * Returns: false if it was asked nothing: then the table is as ever
 */
bool topology_acpi_pptt(MachineState *ms, GArray *tables, BIOSLinker *linker,
                        const char *oem_id, const char *oem_table_id);

/**
 * topology_acpi_dsdt: the CPUs in the processor containers that they are in
 *
 * Returns: false if there are none: then the CPUs are added as ever
 */
bool topology_acpi_dsdt(MachineState *ms, Aml *scope);

/* Number of CPUs that tables list: @possible if nothing was asked for */
int topology_acpi_cpus(const MachineState *ms, int possible);

#endif
