/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A TPM as its driver sees it: TIS, TIS behind an I2C bus, and CRB
 */
#include "qemu/osdep.h"
#include "hw/acpi/tpm.h"
#include "hw/nearmetal/tpm/crb-regs.h"
#include "hw/nearmetal/tpm/tpm-wire.h"
#include "qtest_aspeed.h"
#include "tpm-rig.h"

#define WAIT_US (60 * G_USEC_PER_SEC)
#define PAUSE_US 1000
#define I2C_ADDRESS 0x2e

/* The largest response, and what follows it if the device reads too far */
#define RESPONSE_MAX (2 * 4096)

static const uint8_t pcr_read[] = {
    0x80, 0x01, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 11, 3, 1, 0, 0
};
static const uint8_t get_ticks[] = { 0, 0xc1, 0, 0, 0, 10, 0, 0, 0, 0xf1 };

static const TpmGood good_2_0 = { pcr_read, sizeof(pcr_read), 62 };
static const TpmGood good_1_2 = { get_ticks, sizeof(get_ticks), 10 };

static bool is_crb(TpmRig *r)
{
    return r->front->kind == TPM_KIND_CRB;
}

static bool is_old(TpmRig *r)
{
    /* Asked of the device: there is no register for it in CRB */
    return r->front->old &&
           qtest_readl(r->qts, r->front->base + TPM_TIS_REG_INTF_CAPABILITY) ==
           TPM_TIS_CAPABILITIES_SUPPORTED1_3;
}

static uint32_t crb_get_reg(TpmRig *r, unsigned reg)
{
    return qtest_readl(r->qts, r->front->base + reg);
}

static void crb_set_reg(TpmRig *r, unsigned reg, uint32_t value)
{
    qtest_writel(r->qts, r->front->base + reg, value);
}

/* The I2C controller is off after a reset; qtest_aspeed.c turns it on once */
static void i2c_enable(TpmRig *r)
{
    qtest_writel(r->qts, r->front->base, 1);
    aspeed_i2c_writeb(r->qts, r->front->base, I2C_ADDRESS,
                      TPM_I2C_REG_LOC_SEL, 0);
}

static uint32_t tis_sts(TpmRig *r)
{
    return r->front->kind == TPM_KIND_I2C ?
           aspeed_i2c_readl(r->qts, r->front->base, I2C_ADDRESS,
                            TPM_I2C_REG_STS) :
           qtest_readl(r->qts, r->front->base + TPM_TIS_REG_STS);
}

static void tis_set_sts(TpmRig *r, uint32_t value)
{
    if (r->front->kind == TPM_KIND_I2C) {
        aspeed_i2c_writel(r->qts, r->front->base, I2C_ADDRESS,
                          TPM_I2C_REG_STS, value);
    } else {
        qtest_writel(r->qts, r->front->base + TPM_TIS_REG_STS, value);
    }
}

static void tis_set_access(TpmRig *r, uint8_t value)
{
    if (r->front->kind == TPM_KIND_I2C) {
        aspeed_i2c_writeb(r->qts, r->front->base, I2C_ADDRESS,
                          TPM_I2C_REG_ACCESS, value);
    } else {
        qtest_writeb(r->qts, r->front->base + TPM_TIS_REG_ACCESS, value);
    }
}

static uint8_t fifo_read(TpmRig *r)
{
    return r->front->kind == TPM_KIND_I2C ?
           aspeed_i2c_readb(r->qts, r->front->base, I2C_ADDRESS,
                            TPM_I2C_REG_DATA_FIFO) :
           qtest_readb(r->qts, r->front->base + TPM_TIS_REG_DATA_FIFO);
}

void tpm_regs_take(TpmRig *r)
{
    int64_t until = g_get_monotonic_time() + WAIT_US;

    if (is_crb(r)) {
        crb_set_reg(r, CRB_LOC_CTRL, 1);
        g_assert_cmphex(crb_get_reg(r, CRB_LOC_STS), ==, CRB_LOC_STS_GRANTED);
        crb_set_reg(r, CRB_CTRL_REQ, 1);
        return;
    }
    if (r->front->kind == TPM_KIND_I2C) {
        i2c_enable(r);
    }
    tis_set_access(r, TPM_TIS_ACCESS_REQUEST_USE);
    tis_set_sts(r, TPM_TIS_STS_COMMAND_READY);
    while (!(tis_sts(r) & TPM_TIS_STS_COMMAND_READY)) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(PAUSE_US);
    }
}

void tpm_regs_write(TpmRig *r, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    if (is_crb(r)) {
        qtest_memwrite(r->qts, r->front->base + CRB_BUFFER, p, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (r->front->kind == TPM_KIND_I2C) {
            aspeed_i2c_writeb(r->qts, r->front->base, I2C_ADDRESS,
                              TPM_I2C_REG_DATA_FIFO, p[i]);
        } else {
            qtest_writeb(r->qts, r->front->base + TPM_TIS_REG_DATA_FIFO, p[i]);
        }
    }
}

void tpm_regs_write_words(TpmRig *r, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < len; i += 4) {
        uint32_t word = 0x5a5a5a5a;

        memcpy(&word, p + i, MIN(len - i, sizeof(word)));
        word = GUINT32_FROM_LE(word);
        if (is_crb(r)) {
            crb_set_reg(r, CRB_BUFFER + i, word);
        } else if (r->front->kind == TPM_KIND_I2C) {
            aspeed_i2c_writel(r->qts, r->front->base, I2C_ADDRESS,
                              TPM_I2C_REG_DATA_FIFO, word);
        } else {
            qtest_writel(r->qts, r->front->base + TPM_TIS_REG_DATA_FIFO, word);
        }
    }
}

bool tpm_regs_expects(TpmRig *r)
{
    return !is_crb(r) && (tis_sts(r) & TPM_TIS_STS_EXPECT);
}

void tpm_regs_go(TpmRig *r)
{
    if (is_crb(r)) {
        crb_set_reg(r, CRB_CTRL_START, 1);
    } else {
        tis_set_sts(r, TPM_TIS_STS_TPM_GO);
    }
}

void tpm_regs_cancel(TpmRig *r)
{
    if (is_crb(r)) {
        crb_set_reg(r, CRB_CTRL_CANCEL, 1);
    } else {
        tis_set_sts(r, TPM_TIS_STS_COMMAND_CANCEL);
    }
}

bool tpm_regs_done(TpmRig *r)
{
    return is_crb(r) ? !crb_get_reg(r, CRB_CTRL_START)
                     : tis_sts(r) & TPM_TIS_STS_DATA_AVAILABLE;
}

void tpm_regs_wait(TpmRig *r)
{
    int64_t until = g_get_monotonic_time() + WAIT_US;

    while (!tpm_regs_done(r)) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(PAUSE_US);
    }
    if (is_crb(r)) {
        g_assert_cmphex(crb_get_reg(r, CRB_CTRL_STS) & CRB_STS_FATAL, ==, 0);
        crb_set_reg(r, CRB_CTRL_CANCEL, 0);
    }
}

void tpm_regs_read(TpmRig *r, uint8_t *bytes, size_t at, size_t len)
{
    if (is_crb(r)) {
        qtest_memread(r->qts, r->front->base + CRB_BUFFER + at, bytes, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        g_assert_true(tis_sts(r) & TPM_TIS_STS_DATA_AVAILABLE);
        bytes[i] = fifo_read(r);
    }
}

size_t tpm_regs_response(TpmRig *r, uint8_t *bytes, size_t max)
{
    size_t size;

    g_assert_cmpuint(max, >=, TPM_WIRE_HDR);
    tpm_regs_read(r, bytes, 0, TPM_WIRE_HDR);
    size = tpm_wire_get32(bytes + 2);
    g_assert_cmpuint(size, >=, TPM_WIRE_HDR);
    g_assert_cmpuint(size, <=, MIN(max, r->front->limit));
    tpm_regs_read(r, bytes + TPM_WIRE_HDR, TPM_WIRE_HDR, size - TPM_WIRE_HDR);
    /* And that is all */
    g_assert_true(is_crb(r) || !tpm_regs_done(r));
    return size;
}

size_t tpm_run(TpmRig *r, const void *cmd, size_t len, uint8_t *rsp,
               size_t max)
{
    tpm_regs_take(r);
    tpm_regs_write(r, cmd, len);
    tpm_regs_go(r);
    tpm_regs_wait(r);
    return tpm_regs_response(r, rsp, max);
}

uint32_t tpm_error_response(TpmRig *r)
{
    uint8_t rsp[RESPONSE_MAX];

    g_assert_cmpuint(tpm_regs_response(r, rsp, sizeof(rsp)), ==, TPM_WIRE_HDR);
    g_assert_cmphex(tpm_wire_get16(rsp), ==,
                    is_old(r) ? TPM_WIRE_RSP_1_2 : TPM_WIRE_TAG_2_0);
    return tpm_wire_get32(rsp + 6);
}

const TpmGood *tpm_good(TpmRig *r)
{
    return is_old(r) ? &good_1_2 : &good_2_0;
}

void tpm_good_start(TpmRig *r)
{
    const TpmGood *good = tpm_good(r);

    tpm_regs_take(r);
    tpm_regs_write(r, good->cmd, good->cmd_len);
    tpm_regs_go(r);
}

void tpm_good_start_heard(TpmRig *r)
{
    int64_t until = g_get_monotonic_time() + WAIT_US;
    unsigned reached = tpm_rig_reached(r);

    tpm_good_start(r);
    while (tpm_rig_reached(r) == reached) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(PAUSE_US);
    }
}

void tpm_good_check(TpmRig *r)
{
    uint8_t rsp[RESPONSE_MAX];

    g_assert_cmpuint(tpm_regs_response(r, rsp, sizeof(rsp)), ==,
                     tpm_good(r)->rsp_len);
    g_assert_cmphex(tpm_wire_get32(rsp + 6), ==, 0);
}

void tpm_good_run(TpmRig *r)
{
    tpm_good_start(r);
    tpm_regs_wait(r);
    tpm_good_check(r);
}

void tpm_bad_run(TpmRig *r, uint32_t code)
{
    tpm_good_start(r);
    tpm_regs_wait(r);
    g_assert_cmphex(tpm_error_response(r), ==, code);
}

uint32_t tpm_code_size(TpmRig *r)
{
    return is_old(r) ? 0x19 : 0x142;    /* BAD_PARAM_SIZE, RC_COMMAND_SIZE */
}

uint32_t tpm_code_failed(TpmRig *r)
{
    return is_old(r) ? 0x09 : 0x101;    /* TPM_FAIL, TPM_RC_FAILURE */
}
