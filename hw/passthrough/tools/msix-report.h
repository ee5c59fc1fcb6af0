/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What scripts/msix-check says about a device
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifndef NEARMETAL_MSIX_REPORT_H
#define NEARMETAL_MSIX_REPORT_H

#include "pci-sysfs.h"

typedef enum MsixVerdict {
    MSIX_VERDICT_NO_MSIX,
    MSIX_VERDICT_REQUIRED,
    MSIX_VERDICT_HELPS,
    MSIX_VERDICT_NO_HELP,
    MSIX_VERDICT_NOT_NEEDED,
    MSIX_VERDICT_IMPOSSIBLE,
} MsixVerdict;

typedef struct MsixReport {
    PciDevice dev;
    MsixRequest request;
    MsixVerdict verdict;
    MsixPlan plan;
    char *reason;           /* NULL if impossible */
    char *error;            /* NULL unless impossible */
} MsixReport;

/**
 * msix_report_make: ask the planner
 * @dev: the host's page size and MSIX_MAPPABLE are in its layout; taken over
 * @report: filled in; msix_report_clear it
 */
void msix_report_make(PciDevice *dev, MsixRequest request, MsixReport *report);

void msix_report_clear(MsixReport *report);

/* All about one device, with what to paste */
void msix_report_print(const MsixReport *report);

/* One line each; @reports: MsixReport; @hidden: some could not be read */
void msix_report_table(GPtrArray *reports, bool hidden);

/* A JSON object */
void msix_report_json(const MsixReport *report, int indent);

/* "16 KiB"; to be freed */
char *msix_report_size(uint64_t size);

#endif
