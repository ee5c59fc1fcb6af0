/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers of a TPM's Command Response Buffer: what a write does
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * TCG PC Client Platform TPM Profile for TPM 2.0, locality 0 only.  Pure: the
 * device publishes the registers and runs the commands, with the BQL held.
 */
#ifndef NEARMETAL_CRB_REGS_H
#define NEARMETAL_CRB_REGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRB_LOC_STATE           0x00
#define CRB_LOC_CTRL            0x08
#define CRB_LOC_STS             0x0c
#define CRB_INTF_ID             0x30
#define CRB_INTF_ID2            0x34
#define CRB_CTRL_REQ            0x40
#define CRB_CTRL_STS            0x44
#define CRB_CTRL_CANCEL         0x48
#define CRB_CTRL_START          0x4c
#define CRB_CTRL_CMD_SIZE       0x58
#define CRB_CTRL_CMD_LADDR      0x5c
#define CRB_CTRL_CMD_HADDR      0x60
#define CRB_CTRL_RSP_SIZE       0x64
#define CRB_CTRL_RSP_LADDR      0x68
#define CRB_CTRL_RSP_HADDR      0x6c

/* Command and response; firmware writes it there without asking where it is */
#define CRB_BUFFER              0x80
/* What the guest is told: registers and buffer of locality 0 */
#define CRB_SIZE                0x1000
#define CRB_BUFFER_SIZE         (CRB_SIZE - CRB_BUFFER)
#define CRB_REGS                (CRB_BUFFER / 4)

#define CRB_LOC_STATE_NOT_ESTABLISHED   (1u << 0)
#define CRB_LOC_STATE_ASSIGNED          (1u << 1)
#define CRB_LOC_STATE_LOCALITY          (7u << 2)
#define CRB_LOC_STATE_VALID             (1u << 7)
#define CRB_LOC_STS_GRANTED             (1u << 0)
#define CRB_LOC_STS_SEIZED              (1u << 1)
#define CRB_STS_FATAL                   (1u << 0)
#define CRB_STS_IDLE                    (1u << 1)

typedef struct CrbState {
    uint32_t regs[CRB_REGS];
} CrbState;

typedef enum CrbAction {
    CRB_NONE,
    CRB_START,                  /* run the command in the buffer */
    CRB_CANCEL,                 /* ask the backend to end the command */
} CrbAction;

/* @base: guest physical address of the registers */
void crb_reset(CrbState *s, uint64_t base);

uint32_t crb_get(const CrbState *s, unsigned reg);

/* A command runs; the buffer is the TPM's */
bool crb_busy(const CrbState *s);

/*
 * What a write of @size (1, 2, 4 or 8) bytes at @addr does to the registers.
 * Bytes from CRB_BUFFER on are none of them: crb_buffer_span().
 * Of an unaligned write only registers whose first byte it begins with count.
 */
CrbAction crb_write(CrbState *s, uint64_t addr, uint64_t value, unsigned size);

/*
 * The part of a write that goes to the buffer now
 * Returns: how many bytes, 0 while a command runs; *@skip: bytes of the write
 * before them.
 */
unsigned crb_buffer_span(const CrbState *s, uint64_t addr, unsigned size,
                         unsigned *skip);

/* The command has ended, @fatal: without a response */
void crb_complete(CrbState *s, bool fatal);

/* As the backend has it: a program locked by the CPU's vendor has run */
void crb_set_established(CrbState *s, bool established);

/*
 * Incoming registers of a device at @base
 * Returns: false with a reason in @why if no device of this kind has sent them
 */
bool crb_check_incoming(const CrbState *s, uint64_t base, char *why,
                        size_t why_size);

#endif
