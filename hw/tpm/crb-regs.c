/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of a TPM's Command Response Buffer: what a write does
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "crb-regs.h"

#define LOC_CTRL_REQUEST        (1u << 0)
#define LOC_CTRL_RELINQUISH     (1u << 1)
#define CTRL_REQ_CMD_READY      (1u << 0)
#define CTRL_REQ_GO_IDLE        (1u << 1)
#define INVOKE                  1u

/* CRB active, CRB version, 64 byte transfers, CRB only and selected */
#define INTF_ID_VALUE           (1u | 1u << 4 | 3u << 11 | 1u << 14 | 1u << 17)
#define VENDOR_IBM              0x1014

static uint32_t *crb_reg(CrbState *s, unsigned addr)
{
    return &s->regs[addr / 4];
}

uint32_t crb_get(const CrbState *s, unsigned addr)
{
    return s->regs[addr / 4];
}

bool crb_busy(const CrbState *s)
{
    return crb_get(s, CRB_CTRL_START) & INVOKE;
}

void crb_reset(CrbState *s, uint64_t base)
{
    uint64_t buffer = base + CRB_BUFFER;

    memset(s, 0, sizeof(*s));
    *crb_reg(s, CRB_LOC_STATE) = CRB_LOC_STATE_VALID |
                                 CRB_LOC_STATE_NOT_ESTABLISHED;
    *crb_reg(s, CRB_CTRL_STS) = CRB_STS_IDLE;
    *crb_reg(s, CRB_INTF_ID) = INTF_ID_VALUE;
    *crb_reg(s, CRB_INTF_ID2) = VENDOR_IBM;
    *crb_reg(s, CRB_CTRL_CMD_SIZE) = CRB_BUFFER_SIZE;
    *crb_reg(s, CRB_CTRL_CMD_LADDR) = buffer;
    *crb_reg(s, CRB_CTRL_CMD_HADDR) = buffer >> 32;
    *crb_reg(s, CRB_CTRL_RSP_SIZE) = CRB_BUFFER_SIZE;
    *crb_reg(s, CRB_CTRL_RSP_LADDR) = buffer;
    *crb_reg(s, CRB_CTRL_RSP_HADDR) = buffer >> 32;
}

static bool locality_0(const CrbState *s)
{
    return (crb_get(s, CRB_LOC_STATE) &
            (CRB_LOC_STATE_ASSIGNED | CRB_LOC_STATE_LOCALITY)) ==
           CRB_LOC_STATE_ASSIGNED;
}

static void locality_control(CrbState *s, uint32_t value)
{
    /* Seizing and resetting "established" are not for locality 0 */
    if (value == LOC_CTRL_REQUEST) {
        *crb_reg(s, CRB_LOC_STS) = CRB_LOC_STS_GRANTED;
        *crb_reg(s, CRB_LOC_STATE) |= CRB_LOC_STATE_ASSIGNED;
    } else if (value == LOC_CTRL_RELINQUISH) {
        *crb_reg(s, CRB_LOC_STS) &= ~CRB_LOC_STS_GRANTED;
        *crb_reg(s, CRB_LOC_STATE) &= ~CRB_LOC_STATE_ASSIGNED;
    }
}

static CrbAction write_register(CrbState *s, unsigned addr, uint32_t value)
{
    switch (addr) {
    case CRB_LOC_CTRL:
        locality_control(s, value);
        break;
    case CRB_CTRL_REQ:
        if (value == CTRL_REQ_CMD_READY) {
            *crb_reg(s, CRB_CTRL_STS) &= ~CRB_STS_IDLE;
        } else if (value == CTRL_REQ_GO_IDLE) {
            *crb_reg(s, CRB_CTRL_STS) |= CRB_STS_IDLE;
        }
        break;
    case CRB_CTRL_CANCEL:
        return value == INVOKE && crb_busy(s) ? CRB_CANCEL : CRB_NONE;
    case CRB_CTRL_START:
        if (value == INVOKE && !crb_busy(s) && locality_0(s)) {
            *crb_reg(s, CRB_CTRL_START) = INVOKE;
            return CRB_START;
        }
        break;
    }
    return CRB_NONE;
}

CrbAction crb_write(CrbState *s, uint64_t addr, uint64_t value, unsigned size)
{
    CrbAction action;

    if (addr % 4 || addr >= CRB_BUFFER) {
        return CRB_NONE;
    }
    action = write_register(s, addr, size == 8 ? (uint32_t)value : value);
    if (size == 8 && addr + 4 < CRB_BUFFER) {
        CrbAction second = write_register(s, addr + 4, value >> 32);

        action = second == CRB_NONE ? action : second;
    }
    return action;
}

unsigned crb_buffer_span(const CrbState *s, uint64_t addr, unsigned size,
                         unsigned *skip)
{
    uint64_t end = addr + size;

    *skip = addr < CRB_BUFFER ? CRB_BUFFER - addr : 0;
    if (*skip >= size || addr >= CRB_SIZE || crb_busy(s)) {
        *skip = 0;
        return 0;
    }
    return (end < CRB_SIZE ? end : CRB_SIZE) - addr - *skip;
}

void crb_complete(CrbState *s, bool fatal)
{
    *crb_reg(s, CRB_CTRL_START) = 0;
    if (fatal) {
        *crb_reg(s, CRB_CTRL_STS) |= CRB_STS_FATAL;
    }
}

void crb_set_established(CrbState *s, bool established)
{
    if (established) {
        *crb_reg(s, CRB_LOC_STATE) &= ~CRB_LOC_STATE_NOT_ESTABLISHED;
    } else {
        *crb_reg(s, CRB_LOC_STATE) |= CRB_LOC_STATE_NOT_ESTABLISHED;
    }
}

/* Bits that a guest or the TPM changes */
static uint32_t changing_bits(unsigned addr)
{
    switch (addr) {
    case CRB_LOC_STATE:
        return CRB_LOC_STATE_NOT_ESTABLISHED | CRB_LOC_STATE_ASSIGNED;
    case CRB_LOC_STS:
        return CRB_LOC_STS_GRANTED | CRB_LOC_STS_SEIZED;
    case CRB_CTRL_STS:
        return CRB_STS_FATAL | CRB_STS_IDLE;
    }
    return 0;
}

bool crb_check_incoming(const CrbState *s, uint64_t base, char *why,
                        size_t why_size)
{
    CrbState ours;
    unsigned addr;

    if (crb_busy(s)) {
        snprintf(why, why_size, "incoming register 0x%x says that a command "
                 "runs, which no source sends", CRB_CTRL_START);
        return false;
    }
    crb_reset(&ours, base);
    for (addr = 0; addr < CRB_BUFFER; addr += 4) {
        uint32_t fixed = ~changing_bits(addr);

        if ((crb_get(s, addr) & fixed) != (crb_get(&ours, addr) & fixed)) {
            snprintf(why, why_size, "incoming register 0x%x is 0x%" PRIx32
                     ", and 0x%" PRIx32 " here", addr, crb_get(s, addr),
                     crb_get(&ours, addr));
            return false;
        }
    }
    return true;
}
