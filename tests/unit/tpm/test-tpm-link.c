/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The connection to swtpm: its start, its answers and its state
 */
#include <string.h>
#include "tpm-link-rig.h"

static void test_healthy(void)
{
    Rig *r = rig_started("");

    g_assert_cmpint(r->l.version, ==, TPM_WIRE_2_0);
    g_assert_cmphex(r->l.caps, ==, 0xffff);
    rig_assert_works(r);
    rig_assert_works(r);
    g_assert_true(tpm_link_shutdown(&r->l, in_ms(FAR)));
    tpm_fake_join(r->fake);
    rig_assert_log(r, "ctrl SET_DATAFD\ndata 8001 0000000a 00000181\n"
                   "ctrl GET_CAPABILITY\nctrl STOP\n"
                   "ctrl SET_BUFFERSIZE 00000f80\n"
                   "ctrl INIT 00000000\nctrl GET_TPMESTABLISHED\n"
                   "ctrl SET_LOCALITY 00000000\ndata 8001 00000014 0000017e\n"
                   "data 8001 00000014 0000017e\nctrl SHUTDOWN\n", true);
    rig_free(r);
}

static void test_version_1_2(void)
{
    Rig *r = rig_probed("version 1.2\ncaps 7fff\nestablished");
    uint32_t size = 0;
    bool est = false;

    g_assert_cmpint(r->l.version, ==, TPM_WIRE_1_2);
    g_assert_true(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR)));
    g_assert_true(est);
    g_assert_cmpint(size, ==, 4096);
    rig_free(r);
}

/* Each message of the start: silent, closing, refusing */
static void test_start_fails(void)
{
    static const char * const at[] = {
        "ctrl SET_DATAFD", "data cc 181", "ctrl GET_CAPABILITY", "ctrl STOP",
        "ctrl SET_BUFFERSIZE", "ctrl INIT", "ctrl GET_TPMESTABLISHED",
    };
    static const char * const how[] = {
        "silent", "close", "result 9", "short 3"
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(at); i++) {
        for (unsigned j = 0; j < G_N_ELEMENTS(how); j++) {
            g_autofree char *script = g_strdup_printf("on %s: %s", at[i],
                                                      how[j]);
            /* 4 bytes are not a response of the data channel's */
            bool waits = how[j][0] == 's' || (i == 1 && j == 2);
            int64_t until = in_ms(waits ? SHORT : FAR);
            Rig *r = rig_new(script);
            uint32_t size = 4096;
            bool est = true, ok;

            ok = tpm_link_probe(&r->l, tpm_fake_pair(r->fake), until) &&
                 tpm_link_start(&r->l, &size, true, 0, &est, until);
            /* A TPM that does not tell the bit: as if it were clear */
            g_assert_true(ok == (i == 6 && j == 2));
            g_assert_true(ok || r->l.reason[0]);
            g_assert_false(ok && est);
            if (waits) {
                g_assert_cmpint(tpm_io_now(), >=, until);
            } else {
                g_assert_cmpint(tpm_io_now(), <, until);
            }
            rig_free(r);
        }
    }
}

static void test_start_reasons(void)
{
    Rig *r = rig_probed("on ctrl INIT: result 9\non ctrl STOP #2: silent");
    uint32_t size = 4096;
    bool est;

    g_assert_false(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR)));
    g_assert_cmpstr(r->l.reason, ==,
                    "TPM result for CMD_INIT: 0x9 operation failed");
    g_assert_cmpint(r->l.result, ==, 9);
    g_assert_true(tpm_link_in_step(&r->l));
    g_assert_false(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(SHORT)));
    rig_assert_reason(r, "no answer to CMD_STOP within ");
    g_assert_false(tpm_link_in_step(&r->l));
    g_assert_false(r->l.down);
    rig_free(r);

    r = rig_new("caps 5fff");
    g_assert_false(tpm_link_probe(&r->l, tpm_fake_pair(r->fake), in_ms(FAR)));
    rig_assert_reason(r,
                      "minimum set of required capabilities for TPM 2 (0x34");
    rig_free(r);
}

/* The bit's answer has 4 bytes while the TPM does not run */
static void test_established(void)
{
    Rig *r = rig_probed("established");
    bool est = true;

    g_assert_true(tpm_link_get_established(&r->l, &est, in_ms(FAR)));
    g_assert_false(est);
    g_assert_true(tpm_link_run(&r->l, 0, &est, in_ms(FAR)));
    g_assert_true(est);
    g_assert_false(tpm_link_reset_established(&r->l, 0, in_ms(FAR)));
    g_assert_true(tpm_link_reset_established(&r->l, 4, in_ms(FAR)));
    g_assert_true(tpm_link_get_established(&r->l, &est, in_ms(FAR)));
    g_assert_false(est);
    rig_free(r);
}

static void test_sizes(void)
{
    static const struct {
        const char *how;
        TpmCmdResult result;
        const char *reason;
    } cases[] = {
        { "echo-size 10", TPM_CMD_DONE, "" },
        { "oversize 4096", TPM_CMD_DONE, "" },
        { "oversize 4097", TPM_CMD_DROPPED, "4097 bytes does not fit" },
        { "oversize 65536", TPM_CMD_DROPPED, "65536 bytes does not fit" },
        { "oversize 65537", TPM_CMD_LOST, "65537 bytes is not within" },
        { "echo-size 9", TPM_CMD_LOST, "9 bytes is not within 10..65536" },
        { "echo-size 0", TPM_CMD_LOST, "0 bytes is not within" },
        { "echo-size 4294967295", TPM_CMD_LOST, "4294967295 bytes" },
        { "rubbish 10", TPM_CMD_LOST, "bytes is not within" },
        { "close", TPM_CMD_LOST, "channel was closed" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *script = g_strdup_printf("on data cc 17e: %s",
                                                  cases[i].how);
        Rig *r = rig_started(script);

        g_assert_cmpint(rig_command(r), ==, cases[i].result);
        rig_assert_reason(r, cases[i].reason);
        if (cases[i].result == TPM_CMD_LOST) {
            g_assert_true(r->l.down);
        } else {
            rig_assert_works(r);
        }
        rig_free(r);
    }
}

static void test_half(void)
{
    for (int n = 1; n < 62; n += 30) {
        g_autofree char *script = g_strdup_printf("on data cc 17e: short %d",
                                                  n);
        Rig *r = rig_started(script);

        r->mood = HURRY;
        g_assert_cmpint(rig_command(r), ==, TPM_CMD_LOST);
        rig_assert_reason(r, "bytes of a response within 200 ms");
        g_assert_false(tpm_link_resync(&r->l, NULL, in_ms(SHORT)));
        rig_free(r);
    }
}

/* Bytes nobody asked for: seen when idle, and before the next command */
static void test_unasked(void)
{
    Rig *r = rig_started("on data cc 17e: extra 1");

    g_assert_cmpint(rig_command(r), ==, TPM_CMD_DONE);
    g_assert_cmpint(rig_command(r), ==, TPM_CMD_LOST);
    rig_assert_reason(r, "unasked bytes on the data channel");
    g_assert_true(r->l.down);
    rig_free(r);

    r = rig_started("on idle 1: rubbish 4");
    g_assert_true(tpm_fake_wait(r->fake, "idle", 1));
    /* The log comes before the bytes */
    while (tpm_link_idle_ok(&r->l, 1, 0)) {
        g_usleep(1000);
    }
    rig_assert_reason(r, "unasked bytes on the control channel");
    rig_free(r);

    r = rig_started("on idle 1: close");
    g_assert_true(tpm_fake_wait(r->fake, "idle", 1));
    while (tpm_link_idle_ok(&r->l, 1, 0)) {
        g_usleep(1000);
    }
    rig_assert_reason(r, "the control channel was closed");
    g_assert_cmpint(rig_command(r), ==, TPM_CMD_LOST);
    rig_free(r);
}

/* A second connection, as of a chardev that reconnects */
static void test_reconnect(void)
{
    Rig *r = rig_started("on ctrl SET_DATAFD #2: result 1f\n"
                         "on ctrl SET_DATAFD #3: result 1f");
    uint32_t size = 4096;
    bool est;

    g_assert_true(tpm_link_probe(&r->l, tpm_fake_pair(r->fake), in_ms(FAR)));
    g_assert_true(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR)));
    rig_assert_works(r);
    g_assert_true(tpm_fake_wait(r->fake, "ctrl SET_DATAFD", 4));
    rig_free(r);
}

static void test_locality(void)
{
    Rig *r = rig_started("");

    rig_assert_works(r);
    g_assert_cmpint(rig_command_at(r, 9), ==, TPM_CMD_DROPPED);
    rig_assert_reason(r, "TPM result for CMD_SET_LOCALITY: 0x3d");
    rig_assert_works(r);
    rig_free(r);
}

static void test_blobs(void)
{
    Rig *r = rig_started("on ctrl GET_STATEBLOB #4: result 5");
    g_autofree uint8_t *p = NULL, *big = g_malloc(1 << 20);
    uint32_t flags = 9, n = 9;

    g_assert_true(tpm_link_get_blob(&r->l, 1, &flags, &p, &n, 8, in_ms(FAR)));
    g_assert_cmpint(n, ==, 8);
    g_assert_cmpint(flags, ==, 0);
    g_assert_cmphex(tpm_wire_get32(p), ==, 0x0201000a);
    g_clear_pointer(&p, g_free);
    /* There is none: not an error, and 16 bytes though the result is not 0 */
    g_assert_true(tpm_link_get_blob(&r->l, 3, &flags, &p, &n, 8, in_ms(FAR)));
    g_assert_cmpint(n, ==, 0);
    g_assert_null(p);

    memset(big, 0x5a, 1 << 20);
    g_assert_false(tpm_link_set_blob(&r->l, 1, 0, big, 1 << 20, in_ms(FAR)));
    g_assert_true(tpm_link_stop(&r->l, in_ms(FAR)));
    g_assert_true(tpm_link_set_blob(&r->l, 1, 0, big, 1 << 20, in_ms(FAR)));
    g_assert_true(tpm_link_set_blob(&r->l, 3, 0, NULL, 0, in_ms(FAR)));
    g_assert_true(tpm_link_run(&r->l, 1, &(bool) { 0 }, in_ms(FAR)));
    g_assert_true(tpm_link_get_blob(&r->l, 1, &flags, &p, &n, 1 << 20,
                                    in_ms(FAR)));
    g_assert_cmpmem(p, n, big, 1 << 20);
    g_clear_pointer(&p, g_free);
    g_assert_false(tpm_link_get_blob(&r->l, 1, &flags, &p, &n, 1 << 20,
                                     in_ms(FAR)));
    g_assert_true(tpm_link_in_step(&r->l));
    g_assert_false(tpm_link_get_blob(&r->l, 1, &flags, &p, &n,
                                     (1 << 20) - 1, in_ms(FAR)));
    rig_assert_reason(r, "at most 1048575 are accepted");
    g_assert_true(tpm_link_in_step(&r->l));
    rig_free(r);
}

static void test_blob_half(void)
{
    Rig *r = rig_started("on ctrl GET_STATEBLOB: short 20");
    uint32_t flags, n;
    uint8_t *p = NULL;

    g_assert_false(tpm_link_get_blob(&r->l, 1, &flags, &p, &n, 8,
                                     in_ms(SHORT)));
    g_assert_null(p);
    g_assert_false(tpm_link_in_step(&r->l));
    rig_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tpm-link/healthy", test_healthy);
    g_test_add_func("/tpm-link/version-1.2", test_version_1_2);
    g_test_add_func("/tpm-link/start-fails", test_start_fails);
    g_test_add_func("/tpm-link/start-reasons", test_start_reasons);
    g_test_add_func("/tpm-link/established", test_established);
    g_test_add_func("/tpm-link/sizes", test_sizes);
    g_test_add_func("/tpm-link/half-a-response", test_half);
    g_test_add_func("/tpm-link/unasked-bytes", test_unasked);
    g_test_add_func("/tpm-link/reconnect", test_reconnect);
    g_test_add_func("/tpm-link/locality", test_locality);
    g_test_add_func("/tpm-link/blobs", test_blobs);
    g_test_add_func("/tpm-link/blob-half", test_blob_half);
    return g_test_run();
}
