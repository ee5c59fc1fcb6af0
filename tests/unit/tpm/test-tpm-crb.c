/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Registers of a TPM's Command Response Buffer
 */
#include <glib.h>
#include <string.h>
#include "hw/tpm/crb-regs.h"

#define BASE 0xc000000ull

static CrbState fresh(void)
{
    CrbState s;

    memset(&s, 0xa5, sizeof(s));
    crb_reset(&s, BASE);
    return s;
}

/* With locality 0 and a command that may come */
static CrbState ready(void)
{
    CrbState s = fresh();

    g_assert_cmpint(crb_write(&s, CRB_LOC_CTRL, 1, 4), ==, CRB_NONE);
    g_assert_cmpint(crb_write(&s, CRB_CTRL_REQ, 1, 4), ==, CRB_NONE);
    return s;
}

static CrbState running(void)
{
    CrbState s = ready();

    g_assert_cmpint(crb_write(&s, CRB_CTRL_START, 1, 4), ==, CRB_START);
    return s;
}

static void same(const CrbState *a, const CrbState *b)
{
    g_assert_cmpmem(a, sizeof(*a), b, sizeof(*b));
}

static void test_reset(void)
{
    static const struct { unsigned reg; uint32_t value; } values[] = {
        { CRB_LOC_STATE, 0x81 }, { CRB_LOC_CTRL, 0 }, { CRB_LOC_STS, 0 },
        { CRB_INTF_ID, 0x25811 }, { CRB_INTF_ID2, 0x1014 },
        { CRB_CTRL_REQ, 0 }, { CRB_CTRL_STS, 2 }, { CRB_CTRL_CANCEL, 0 },
        { CRB_CTRL_START, 0 }, { CRB_CTRL_CMD_SIZE, 0xf80 },
        { CRB_CTRL_CMD_LADDR, BASE + 0x80 }, { CRB_CTRL_CMD_HADDR, 0 },
        { CRB_CTRL_RSP_SIZE, 0xf80 }, { CRB_CTRL_RSP_LADDR, BASE + 0x80 },
        { CRB_CTRL_RSP_HADDR, 0 },
    };
    CrbState s = fresh();
    unsigned i;

    for (i = 0; i < G_N_ELEMENTS(values); i++) {
        g_assert_cmphex(crb_get(&s, values[i].reg), ==, values[i].value);
    }
    crb_reset(&s, 0x120000000ull);
    g_assert_cmphex(crb_get(&s, CRB_CTRL_CMD_LADDR), ==, 0x20000080);
    g_assert_cmphex(crb_get(&s, CRB_CTRL_CMD_HADDR), ==, 1);
    g_assert_cmphex(crb_get(&s, CRB_CTRL_RSP_LADDR), ==, 0x20000080);
    g_assert_cmphex(crb_get(&s, CRB_CTRL_RSP_HADDR), ==, 1);
}

static void test_locality(void)
{
    CrbState s = fresh(), before = s;

    /* Without a locality nothing runs */
    g_assert_cmpint(crb_write(&s, CRB_CTRL_START, 1, 4), ==, CRB_NONE);
    same(&s, &before);
    crb_write(&s, CRB_LOC_CTRL, 1, 1);
    g_assert_cmphex(crb_get(&s, CRB_LOC_STATE), ==, 0x83);
    g_assert_cmphex(crb_get(&s, CRB_LOC_STS), ==, CRB_LOC_STS_GRANTED);
    before = s;
    crb_write(&s, CRB_LOC_CTRL, 4, 4);          /* seize */
    crb_write(&s, CRB_LOC_CTRL, 8, 4);          /* reset established */
    crb_write(&s, CRB_LOC_CTRL, 3, 4);
    same(&s, &before);
    crb_write(&s, CRB_LOC_CTRL, 2, 4);
    g_assert_cmphex(crb_get(&s, CRB_LOC_STATE), ==, 0x81);
    g_assert_cmphex(crb_get(&s, CRB_LOC_STS), ==, 0);
}

static void test_command(void)
{
    CrbState s = ready();

    g_assert_cmphex(crb_get(&s, CRB_CTRL_STS), ==, 0);
    g_assert_cmpint(crb_write(&s, CRB_CTRL_CANCEL, 1, 4), ==, CRB_NONE);
    g_assert_cmpint(crb_write(&s, CRB_CTRL_START, 2, 4), ==, CRB_NONE);
    g_assert_false(crb_busy(&s));
    g_assert_cmpint(crb_write(&s, CRB_CTRL_START, 1, 4), ==, CRB_START);
    g_assert_true(crb_busy(&s));
    /* Once */
    g_assert_cmpint(crb_write(&s, CRB_CTRL_START, 1, 4), ==, CRB_NONE);
    g_assert_cmpint(crb_write(&s, CRB_CTRL_CANCEL, 0, 4), ==, CRB_NONE);
    g_assert_cmpint(crb_write(&s, CRB_CTRL_CANCEL, 1, 4), ==, CRB_CANCEL);
    crb_complete(&s, false);
    g_assert_false(crb_busy(&s));
    g_assert_cmphex(crb_get(&s, CRB_CTRL_STS), ==, 0);
    g_assert_cmpint(crb_write(&s, CRB_CTRL_START, 1, 4), ==, CRB_START);
    crb_complete(&s, true);
    g_assert_false(crb_busy(&s));
    g_assert_cmphex(crb_get(&s, CRB_CTRL_STS), ==, CRB_STS_FATAL);
    crb_write(&s, CRB_CTRL_REQ, 2, 4);
    g_assert_cmphex(crb_get(&s, CRB_CTRL_STS), ==,
                    CRB_STS_FATAL | CRB_STS_IDLE);
}

/* Two registers at once, halves of one, and what is not writable */
static void test_sizes(void)
{
    CrbState s = ready(), before = s;
    unsigned addr;

    g_assert_cmpint(crb_write(&s, CRB_CTRL_CANCEL, 1ull << 32, 8), ==,
                    CRB_START);
    g_assert_cmpint(crb_write(&s, CRB_CTRL_CANCEL, 1, 8), ==, CRB_CANCEL);
    s = before;
    g_assert_cmpint(crb_write(&s, CRB_CTRL_START + 2, 1, 2), ==, CRB_NONE);
    g_assert_cmpint(crb_write(&s, CRB_CTRL_START - 1, 0x100, 4), ==, CRB_NONE);
    same(&s, &before);
    for (addr = 0; addr < 2 * CRB_SIZE; addr++) {
        unsigned reg = addr & ~3u;

        if (reg != CRB_LOC_CTRL && reg != CRB_CTRL_REQ &&
            reg != CRB_CTRL_START) {
            g_assert_cmpint(crb_write(&s, addr, ~0ull, 4), ==, CRB_NONE);
        }
    }
    same(&s, &before);
}

static void span(const CrbState *s, uint64_t addr, unsigned size,
                 unsigned count, unsigned skip)
{
    unsigned skipped = 77;

    g_assert_cmpuint(crb_buffer_span(s, addr, size, &skipped), ==, count);
    g_assert_cmpuint(skipped, ==, skip);
}

static void test_buffer(void)
{
    CrbState s = ready();

    span(&s, 0x78, 8, 0, 0);
    span(&s, 0x79, 8, 1, 7);
    span(&s, 0x7c, 8, 4, 4);
    span(&s, 0x80, 8, 8, 0);
    span(&s, 0xff8, 8, 8, 0);
    span(&s, 0xffc, 8, 4, 0);
    span(&s, 0xfff, 1, 1, 0);
    span(&s, 0x1000, 1, 0, 0);
    span(&s, 0xfffc, 8, 0, 0);
    s = running();
    span(&s, 0x7c, 8, 0, 0);
    span(&s, 0x80, 4, 0, 0);
    crb_complete(&s, false);
    span(&s, 0x80, 4, 4, 0);
}

static void test_established(void)
{
    CrbState s = ready();

    crb_set_established(&s, true);
    g_assert_cmphex(crb_get(&s, CRB_LOC_STATE), ==, 0x82);
    crb_set_established(&s, false);
    g_assert_cmphex(crb_get(&s, CRB_LOC_STATE), ==, 0x83);
}

static void refused(CrbState s, unsigned reg, uint32_t value, const char *part)
{
    char why[120];

    s.regs[reg / 4] = value;
    g_assert_false(crb_check_incoming(&s, BASE, why, sizeof(why)));
    g_assert_nonnull(strstr(why, part));
}

static void test_incoming(void)
{
    CrbState s = ready();
    char why[120];

    g_assert_true(crb_check_incoming(&s, BASE, why, sizeof(why)));
    s = fresh();
    g_assert_true(crb_check_incoming(&s, BASE, why, sizeof(why)));
    crb_complete(&s, true);
    crb_set_established(&s, true);
    g_assert_true(crb_check_incoming(&s, BASE, why, sizeof(why)));

    refused(s, CRB_CTRL_START, 1, "0x4c");
    refused(s, CRB_LOC_STATE, 0x81 | 1 << 2, "0x0 is 0x85");
    refused(s, CRB_CTRL_CMD_SIZE, 0xffffffff, "0x58 is 0xffffffff");
    refused(s, CRB_CTRL_CMD_LADDR, 0, "and 0xc000080 here");
    refused(s, CRB_CTRL_RSP_HADDR, 1, "0x6c");
    refused(s, CRB_INTF_ID, 0, "0x30");
    refused(s, 0x7c, 1, "0x7c");
    g_assert_false(crb_check_incoming(&s, BASE + 0x10000, why, sizeof(why)));
    /* No more is written than there is room for */
    memset(why, 'x', sizeof(why));
    g_assert_false(crb_check_incoming(&s, 0, why, 8));
    g_assert_cmpint(why[7], ==, 0);
    g_assert_cmpint(why[8], ==, 'x');
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tpm-crb/reset", test_reset);
    g_test_add_func("/tpm-crb/locality", test_locality);
    g_test_add_func("/tpm-crb/command", test_command);
    g_test_add_func("/tpm-crb/sizes", test_sizes);
    g_test_add_func("/tpm-crb/buffer", test_buffer);
    g_test_add_func("/tpm-crb/established", test_established);
    g_test_add_func("/tpm-crb/incoming", test_incoming);
    return g_test_run();
}
