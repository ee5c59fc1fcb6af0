/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wipe of the guest's memory that its OS asks for
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#ifndef NEARMETAL_TPM_PPI_WIPE_H
#define NEARMETAL_TPM_PPI_WIPE_H

/*
 * Clear all memory that a power cycle would clear.  Under the BQL, while no
 * vCPU runs.
 */
void tpm_ppi_wipe(void);

#endif
