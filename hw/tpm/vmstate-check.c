/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is what a migration stream says about a TPM's front end possible?
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "hw/acpi/tpm.h"
#include "crb-regs.h"
#include "vmstate-check.h"

/* Of tpm-tis-i2c: register and data; idle, sending, receiving */
#define I2C_OFFSET_MAX          5
#define I2C_OPERATION_MAX       2

static bool in_range(const char *device, const char *field, unsigned value,
                     unsigned max)
{
    if (value <= max) {
        return true;
    }
    error_report("%s: incoming %s %u is not within 0..%u", device, field,
                 value, max);
    return false;
}

static bool valid_locality(const char *device, const char *field, uint8_t value)
{
    return value == TPM_TIS_NO_LOCALITY ||
           in_range(device, field, value, TPM_TIS_NUM_LOCALITIES - 1);
}

static bool locality_state(TPMLocality *loc, const char *name)
{
    if (!in_range(name, "state of a locality", loc->state,
                  TPM_TIS_STATE_RECEPTION)) {
        return false;
    }
    /*
     * Sources finish the command first.  Upstream's lets a guest that changes
     * localities meanwhile leave one behind like this, for good.
     */
    if (loc->state == TPM_TIS_STATE_EXECUTION) {
        loc->state = TPM_TIS_STATE_IDLE;
    }
    return true;
}

int tpm_tis_check_incoming(TPMState *s, const char *name)
{
    unsigned i;

    /* A guest may have read one byte behind the end */
    if (!in_range(name, "rw_offset", s->rw_offset, sizeof(s->buffer) + 1) ||
        !valid_locality(name, "active_locty", s->active_locty) ||
        !valid_locality(name, "aborting_locty", s->aborting_locty) ||
        !valid_locality(name, "next_locty", s->next_locty)) {
        return -EINVAL;
    }
    for (i = 0; i < TPM_TIS_NUM_LOCALITIES; i++) {
        if (!locality_state(&s->loc[i], name)) {
            return -EINVAL;
        }
    }
    s->rw_offset = MIN(s->rw_offset, sizeof(s->buffer));
    return 0;
}

int tpm_tis_i2c_check_incoming(uint8_t loc_sel, uint8_t offset,
                               uint8_t operation)
{
    const char *name = TYPE_TPM_TIS_I2C;

    return in_range(name, "loc_sel", loc_sel, TPM_TIS_NUM_LOCALITIES - 1) &&
           in_range(name, "offset", offset, I2C_OFFSET_MAX) &&
           in_range(name, "operation", operation, I2C_OPERATION_MAX) ? 0
                                                                    : -EINVAL;
}

int tpm_crb_check_incoming(const uint32_t *regs)
{
    CrbState crb;
    char why[120];

    QEMU_BUILD_BUG_ON(TPM_CRB_R_MAX != CRB_REGS);
    memcpy(crb.regs, regs, sizeof(crb.regs));
    if (!crb_check_incoming(&crb, TPM_CRB_ADDR_BASE, why, sizeof(why))) {
        error_report("%s: %s", TYPE_TPM_CRB, why);
        return -EINVAL;
    }
    return 0;
}
