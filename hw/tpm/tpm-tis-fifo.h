/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a TPM command written byte by byte into a FIFO is complete
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Pure logic: no QEMU headers.
 */

#ifndef NEARMETAL_TPM_TIS_FIFO_H
#define NEARMETAL_TPM_TIS_FIFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * tpm_tis_fifo_more: does the command need another byte?
 * @buf: the command, @have bytes of it
 * @limit: most bytes a command may have, and room in @buf
 *
 * To be asked before each byte that is stored, not before each access: one
 * of 4 bytes may cross the command's end.
 *
 * Returns: false for a complete command, and for one that no byte makes valid
 * since its size is below the header's or over @limit
 */
bool tpm_tis_fifo_more(const uint8_t *buf, size_t have, size_t limit);

#endif
