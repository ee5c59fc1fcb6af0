/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is what a migration stream says about a TPM's front end possible?
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * For .post_load: 0, or -EINVAL with the reason reported.  What a guest can
 * bring about by itself is repaired, not refused: its source is gone.  In the
 * thread that loads the devices, with the BQL held.
 */
#ifndef NEARMETAL_TPM_VMSTATE_CHECK_H
#define NEARMETAL_TPM_VMSTATE_CHECK_H

#include "hw/tpm/tpm_tis.h"

/* @name: of the device, for the message */
int tpm_tis_check_incoming(TPMState *s, const char *name);

/* Of tpm-tis-i2c, beside the above; before its registers are mapped */
int tpm_tis_i2c_check_incoming(uint8_t loc_sel, uint8_t offset,
                               uint8_t operation);

/* @regs: TPM_CRB_R_MAX registers of tpm-crb */
int tpm_crb_check_incoming(const uint32_t *regs);

#endif
