/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a TPM command written byte by byte into a FIFO is complete
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "tpm-tis-fifo.h"
#include "tpm-wire.h"

/* Tag and size: from here on the end is known */
#define SIZE_KNOWN  6

bool tpm_tis_fifo_more(const uint8_t *buf, size_t have, size_t limit)
{
    uint32_t size;

    if (have >= limit) {
        return false;
    }
    if (have < SIZE_KNOWN) {
        return true;
    }
    size = tpm_wire_get32(buf + 2);
    return size >= TPM_WIRE_HDR && size <= limit && have < size;
}
