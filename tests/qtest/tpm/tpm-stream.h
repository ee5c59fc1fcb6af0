/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A migration stream in a file, to be changed
 */
#ifndef NEARMETAL_TPM_STREAM_H
#define NEARMETAL_TPM_STREAM_H

#include <glib.h>

/* Where fields are, from the first one of their device on */
#define TPM_STREAM_BUFFER       4096
#define TPM_STREAM_RW_OFFSET    TPM_STREAM_BUFFER
#define TPM_STREAM_ACTIVE       (TPM_STREAM_BUFFER + 2)
#define TPM_STREAM_ABORTING     (TPM_STREAM_BUFFER + 3)
#define TPM_STREAM_NEXT         (TPM_STREAM_BUFFER + 4)
#define TPM_STREAM_LOCALITY     (TPM_STREAM_BUFFER + 5)
#define TPM_STREAM_LOCALITY_LEN 21
#define TPM_STREAM_I2C          (TPM_STREAM_LOCALITY + \
                                 5 * TPM_STREAM_LOCALITY_LEN)
#define TPM_STREAM_I2C_OFFSET   TPM_STREAM_I2C
#define TPM_STREAM_I2C_OPERATION (TPM_STREAM_I2C + 1)
#define TPM_STREAM_I2C_LOC_SEL  (TPM_STREAM_I2C + 7)
#define TPM_STREAM_CRB(reg)     (reg)
#define TPM_STREAM_BLOB_SIZE    4       /* of tpm-emulator's first part */

/* Where the fields of device state @name begin; it must be there once */
gsize tpm_stream_find(const char *bytes, gsize len, const char *name);

/* Write @len bytes of @value, big endian, at @at behind that to a copy */
void tpm_stream_change(const char *from, const char *to, const char *name,
                       gsize at, unsigned len, guint32 value);

#endif
