/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Where a command written into a FIFO ends
 */
#include <glib.h>
#include <string.h>
#include "hw/tpm/tpm-wire.h"

#define LIMIT 64

/*
 * Write @total bytes by accesses of @width, as the device's store loop does.
 * Returns how many were stored.
 */
static size_t fill(uint32_t size, size_t total, unsigned width, bool *more)
{
    /* No more room than the limit, so that storing more is seen */
    g_autofree uint8_t *buf = g_malloc0(LIMIT);
    uint8_t hdr[6] = { 0x80, 1 };
    size_t have = 0;

    tpm_wire_put32(hdr + 2, size);
    *more = true;
    for (size_t at = 0; at < total && *more; at += width) {
        for (unsigned i = 0; i < width && *more; i++) {
            buf[have] = have < sizeof(hdr) ? hdr[have] : 0xee;
            have++;
            *more = tpm_wire_command_more(buf, have, LIMIT);
        }
    }
    return have;
}

static void test_ends(void)
{
    static const struct {
        uint32_t size;
        size_t total;
        size_t stored;      /* at most: a wide access may have more */
        bool more;
    } cases[] = {
        { 12, 12, 12, false }, { 12, 8, 8, true }, { 13, 16, 13, false },
        { 10, 12, 10, false }, { 11, 64, 11, false }, { LIMIT, 64, 64, false },
        { LIMIT, 60, 60, true }, { 12, 4, 4, true },
        /* No byte makes these valid */
        { 0, 64, 6, false }, { 6, 64, 6, false }, { 9, 64, 6, false },
        { LIMIT + 1, 100, 6, false }, { 0x10006, 100, 6, false },
        { 0x1000a, 100, 6, false }, { 0xffffffff, 100, 6, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (unsigned width = 1; width <= 4; width *= 2) {
            bool more;

            g_assert_cmpint(fill(cases[i].size, cases[i].total, width, &more),
                            ==, cases[i].stored);
            g_assert_true(more == cases[i].more);
        }
    }
}

static void test_full(void)
{
    uint8_t buf[8] = { 0 };

    g_assert_true(tpm_wire_command_more(buf, 0, 8));
    g_assert_true(tpm_wire_command_more(buf, 3, 4));
    g_assert_false(tpm_wire_command_more(buf, 4, 4));
    g_assert_false(tpm_wire_command_more(buf, 0, 0));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tpm-tis-fifo/ends", test_ends);
    g_test_add_func("/tpm-tis-fifo/full", test_full);
    return g_test_run();
}
