/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What TPM commands and responses look like
 */
#include <glib.h>
#include <string.h>
#include "hw/tpm/tpm-wire.h"

#define LIMIT 4096

static const struct {
    uint32_t size;          /* in the header */
    size_t received;
    size_t len;             /* 0: refused */
} commands[] = {
    { 10, 0, 0 }, { 10, 5, 0 }, { 10, 6, 0 }, { 10, 9, 0 }, { 10, 10, 10 },
    { 0, LIMIT, 0 }, { 5, LIMIT, 0 }, { 6, LIMIT, 0 }, { 9, LIMIT, 0 },
    { 10, LIMIT, 10 }, { 12, 12, 12 }, { 12, 11, 0 }, { 12, 20, 12 },
    { LIMIT, LIMIT, LIMIT }, { LIMIT, LIMIT - 1, 0 },
    { LIMIT + 1, LIMIT, 0 }, { LIMIT + 1, LIMIT + 1, 0 },
    { 0x10006, LIMIT, 0 }, { 0x1000a, LIMIT, 0 }, { 0x80000000, LIMIT, 0 },
    { 0xffffffff, LIMIT, 0 },
};

static void test_command(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        /* No byte more than there is, so that reading one is seen */
        g_autofree uint8_t *buf = g_malloc0(commands[i].received + !i);
        uint8_t hdr[TPM_WIRE_HDR] = { 0x80, 1 };
        size_t len = 77, want = commands[i].len;

        tpm_wire_put32(hdr + 2, commands[i].size);
        memcpy(buf, hdr, MIN(sizeof(hdr), commands[i].received));
        g_assert_cmphex(tpm_wire_check_command(buf, commands[i].received,
                                               LIMIT, TPM_WIRE_2_0, &len),
                        ==, want ? 0 : 0x142);
        g_assert_cmpint(len, ==, want ? want : 77);
        g_assert_cmphex(tpm_wire_check_command(buf, commands[i].received,
                                               LIMIT, TPM_WIRE_1_2, &len),
                        ==, want ? 0 : 0x19);
    }
}

static void test_response(void)
{
    /* What fits nowhere has a size, too: it is read and dropped */
    static const struct {
        uint32_t size;
        size_t want;
    } cases[] = {
        { 0, 0 }, { 9, 0 }, { 10, 10 }, { LIMIT, LIMIT },
        { LIMIT + 1, LIMIT + 1 }, { 65536, 65536 }, { 65537, 0 },
        { 0x80000000, 0 }, { 0xffffffff, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t hdr[TPM_WIRE_HDR] = { 0x80, 1 };

        tpm_wire_put32(hdr + 2, cases[i].size);
        g_assert_cmpint(tpm_wire_response_size(hdr), ==, cases[i].want);
    }
}

static void test_error(void)
{
    static const uint8_t new[] = { 0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1 };
    static const uint8_t old[] = { 0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 9 };
    uint8_t out[12];

    memset(out, 0x5a, sizeof(out));
    g_assert_cmpint(tpm_wire_error(out, 9, TPM_WIRE_2_0, 1), ==, 0);
    g_assert_cmphex(out[0], ==, 0x5a);
    g_assert_cmpint(tpm_wire_error(out, sizeof(out), TPM_WIRE_2_0,
                                   tpm_wire_code(TPM_WIRE_2_0,
                                                 TPM_FAULT_FAILED)), ==, 10);
    g_assert_cmpmem(out, 10, new, sizeof(new));
    g_assert_cmphex(out[10], ==, 0x5a);
    g_assert_cmpint(tpm_wire_error(out, 10, TPM_WIRE_1_2,
                                   tpm_wire_code(TPM_WIRE_1_2,
                                                 TPM_FAULT_FAILED)), ==, 10);
    g_assert_cmpmem(out, 10, old, sizeof(old));
    /* A version nobody found out */
    tpm_wire_error(out, 10, 0, tpm_wire_code(0, TPM_FAULT_FAILED));
    g_assert_cmpmem(out, 10, new, sizeof(new));
    g_assert_cmphex(tpm_wire_code(TPM_WIRE_2_0, TPM_FAULT_CANCELED), ==,
                    0x909);
    g_assert_cmphex(tpm_wire_code(TPM_WIRE_1_2, TPM_FAULT_CANCELED), ==, 9);
}

static void test_numbers(void)
{
    uint8_t p[4];

    tpm_wire_put32(p, 0xfedcba98);
    g_assert_cmphex(p[0], ==, 0xfe);
    g_assert_cmphex(p[3], ==, 0x98);
    g_assert_cmphex(tpm_wire_get32(p), ==, 0xfedcba98);
    g_assert_cmphex(tpm_wire_get16(p + 1), ==, 0xdcba);
}

static void test_ctl(void)
{
    g_assert_cmpint(TPM_CTL_SET_LOCALITY, ==, 5);
    g_assert_cmpint(TPM_CTL_STOP, ==, 14);
    g_assert_cmpint(TPM_CTL_SET_BUFFERSIZE, ==, 17);
    g_assert_cmpstr(tpm_wire_ctl_name(16), ==, "SET_DATAFD");
    g_assert_cmpstr(tpm_wire_ctl_name(0), ==, "?");
    g_assert_cmpstr(tpm_wire_ctl_name(15), ==, "?");
    g_assert_cmpstr(tpm_wire_ctl_name(0xffffffff), ==, "?");
    g_assert_cmpint(tpm_wire_ctl_request(0xffffffff), ==, 0);
    g_assert_cmpint(tpm_wire_ctl_answer(0xffffffff), ==, 4);
    g_assert_cmpint(tpm_wire_ctl_answer(15), ==, 4);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tpm-wire/command", test_command);
    g_test_add_func("/tpm-wire/response", test_response);
    g_test_add_func("/tpm-wire/error", test_error);
    g_test_add_func("/tpm-wire/numbers", test_numbers);
    g_test_add_func("/tpm-wire/control-messages", test_ctl);
    return g_test_run();
}
