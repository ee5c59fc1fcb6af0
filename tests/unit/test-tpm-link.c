/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The connection to swtpm, against one that misbehaves
 *
 * A deadline that must pass is short; one that must not is FAR away, so that a
 * busy host changes nothing.
 */
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hw/tpm/tpm-link.h"
#include "tests/qtest/tpm-fake.h"

#define SHORT   200
#define FAR     60000

static const uint8_t pcr_read[20] = {
    0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 0x0b, 3, 1, 0, 0
};

typedef struct Rig {
    TpmFake *fake;
    TpmLink l;
    unsigned requests;      /* what poll_requests() answers */
    enum {
        PATIENT,
        HURRY,              /* control-timeout gets short in the command */
        HURRY_ANSWERED,     /* and only once the cancel was answered */
    } mood;
    TpmLinkOps ops;
    int wake[2];
    uint8_t out[4096];
    size_t out_len;
} Rig;

static int64_t in_ms(int64_t ms)
{
    return tpm_io_now() + ms;
}

static unsigned requests(void *opaque)
{
    Rig *r = opaque;
    bool answered = r->l.ctrl_cmd == TPM_CTL_CANCEL && !r->l.ctrl_owed;

    if (r->mood == HURRY || (r->mood == HURRY_ANSWERED && answered)) {
        r->l.ctl_ms = SHORT;
    }
    return g_atomic_int_get((gint *)&r->requests);
}

static Rig *rig_new(const char *script)
{
    Rig *r = g_new0(Rig, 1);
    char *error = NULL;

    r->fake = tpm_fake_new(script, &error);
    g_assert_cmpstr(error, ==, NULL);
    g_assert_cmpint(pipe(r->wake), ==, 0);
    r->ops = (TpmLinkOps) { requests, r->wake[0], r };
    tpm_link_init(&r->l, FAR);
    return r;
}

static Rig *rig_probed(const char *script)
{
    Rig *r = rig_new(script);

    if (!tpm_link_probe(&r->l, tpm_fake_pair(r->fake), in_ms(FAR))) {
        g_error("%s", r->l.reason);
    }
    return r;
}

static Rig *rig_started(const char *script)
{
    Rig *r = rig_probed(script);
    uint32_t size = 3968;
    bool est = true;

    if (!tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR))) {
        g_error("%s", r->l.reason);
    }
    g_assert_cmpint(size, ==, 3968);
    g_assert_false(est);
    return r;
}

static void rig_free(Rig *r)
{
    tpm_link_close(&r->l);
    tpm_fake_free(r->fake);
    close(r->wake[0]);
    close(r->wake[1]);
    g_free(r);
}

static TpmCmdResult command(Rig *r)
{
    return tpm_link_command(&r->l, 0, pcr_read, sizeof(pcr_read), r->out,
                            sizeof(r->out), &r->out_len, &r->ops);
}

static void assert_works(Rig *r)
{
    r->requests = 0;
    g_assert_cmpint(command(r), ==, TPM_CMD_DONE);
    g_assert_cmpint(r->out_len, ==, 62);
    g_assert_cmpint(tpm_wire_get32(r->out + 2), ==, 62);
    g_assert_cmpint(tpm_wire_get32(r->out + 6), ==, 0);
    g_assert_true(tpm_link_in_step(&r->l));
}

static void assert_reason(Rig *r, const char *part)
{
    if (!strstr(r->l.reason, part)) {
        g_error("'%s' instead of '%s'", r->l.reason, part);
    }
}

static void assert_log(Rig *r, const char *part, bool there)
{
    g_autofree char *log = tpm_fake_log(r->fake);

    if (!!strstr(log, part) != there) {
        g_error("'%s' is %s in:\n%s", part, there ? "not" : "", log);
    }
}

/* Ask while a command runs, once the TPM has it */
static gpointer ask_later(gpointer opaque)
{
    Rig *r = opaque;

    g_assert_true(tpm_fake_wait(r->fake, "data 8001 00000014", 1));
    g_atomic_int_set((gint *)&r->requests, TPM_REQ_CANCEL | TPM_REQ_DRAIN);
    g_assert_cmpint(write(r->wake[1], "12345678", 8), ==, 8);
    return NULL;
}

static TpmCmdResult cancelled_command(Rig *r)
{
    GThread *t = g_thread_new("ask", ask_later, r);
    TpmCmdResult result = command(r);

    g_thread_join(t);
    return result;
}

static void test_healthy(void)
{
    Rig *r = rig_started("");

    g_assert_cmpint(r->l.version, ==, TPM_WIRE_2_0);
    g_assert_cmphex(r->l.caps, ==, 0xffff);
    assert_works(r);
    assert_works(r);
    g_assert_true(tpm_link_shutdown(&r->l, in_ms(FAR)));
    tpm_fake_join(r->fake);
    assert_log(r, "ctrl SET_DATAFD\ndata 8001 0000000a 00000181\n"
               "ctrl GET_CAPABILITY\nctrl STOP\nctrl SET_BUFFERSIZE 00000f80\n"
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
    g_assert_cmpstr(r->l.reason, ==, "TPM result for CMD_INIT: 0x9");
    g_assert_cmpint(r->l.result, ==, 9);
    g_assert_true(tpm_link_in_step(&r->l));
    g_assert_false(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(SHORT)));
    assert_reason(r, "no answer to CMD_STOP within ");
    g_assert_false(tpm_link_in_step(&r->l));
    g_assert_false(r->l.down);
    rig_free(r);

    r = rig_new("caps 5fff");
    g_assert_false(tpm_link_probe(&r->l, tpm_fake_pair(r->fake), in_ms(FAR)));
    assert_reason(r, "minimum set of required capabilities for TPM 2 (0x34");
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

        g_assert_cmpint(command(r), ==, cases[i].result);
        assert_reason(r, cases[i].reason);
        if (cases[i].result == TPM_CMD_LOST) {
            g_assert_true(r->l.down);
        } else {
            assert_works(r);
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
        g_assert_cmpint(command(r), ==, TPM_CMD_LOST);
        assert_reason(r, "bytes of a response within 200 ms");
        g_assert_false(tpm_link_resync(&r->l, in_ms(SHORT)));
        rig_free(r);
    }
}

/* Bytes nobody asked for: seen when idle, and before the next command */
static void test_unasked(void)
{
    Rig *r = rig_started("on data cc 17e: extra 1");

    g_assert_cmpint(command(r), ==, TPM_CMD_DONE);
    g_assert_cmpint(command(r), ==, TPM_CMD_LOST);
    assert_reason(r, "unasked bytes on the data channel");
    g_assert_true(r->l.down);
    rig_free(r);

    r = rig_started("on idle 1: rubbish 4");
    g_assert_true(tpm_fake_wait(r->fake, "idle", 1));
    /* The log comes before the bytes */
    while (tpm_link_idle_ok(&r->l, 1, 0)) {
        g_usleep(1000);
    }
    assert_reason(r, "unasked bytes on the control channel");
    rig_free(r);

    r = rig_started("on idle 1: close");
    g_assert_true(tpm_fake_wait(r->fake, "idle", 1));
    while (tpm_link_idle_ok(&r->l, 1, 0)) {
        g_usleep(1000);
    }
    assert_reason(r, "the control channel was closed");
    g_assert_cmpint(command(r), ==, TPM_CMD_LOST);
    rig_free(r);
}

static void test_cancel(void)
{
    Rig *r = rig_started("on data cc 17e: wait-cancel");

    g_assert_cmpint(cancelled_command(r), ==, TPM_CMD_DONE);
    assert_log(r, "ctrl CANCEL_TPM_CMD\n", true);
    assert_works(r);
    rig_free(r);
}

/* As swtpm: the answer to the cancel comes after the response, and late */
static void test_cancel_serial(void)
{
    Rig *r = rig_started("on data cc 17e: delay 1000 serial\n"
                         "on ctrl CANCEL_TPM_CMD: delay 500");

    g_assert_cmpint(cancelled_command(r), ==, TPM_CMD_DONE);
    g_assert_cmpint(r->out_len, ==, 62);
    g_assert_true(tpm_link_in_step(&r->l));
    assert_works(r);
    rig_free(r);
}

/* Without the ability to cancel, a sign of life is asked for */
static void test_cancel_unable(void)
{
    Rig *r = rig_started("caps ffdf\non data cc 17e: delay 500");

    g_assert_cmpint(cancelled_command(r), ==, TPM_CMD_DONE);
    assert_log(r, "CANCEL", false);
    assert_works(r);
    rig_free(r);
}

static void test_cancel_silent(void)
{
    Rig *r = rig_started("on data cc 17e: silent\n"
                         "on ctrl CANCEL_TPM_CMD: silent");

    r->mood = HURRY;
    g_assert_cmpint(cancelled_command(r), ==, TPM_CMD_LOST);
    assert_reason(r, "no answer to CMD_CANCEL_TPM_CMD within ");
    g_assert_false(r->l.down);
    g_assert_false(tpm_link_resync(&r->l, in_ms(SHORT)));
    rig_free(r);
}

/* A guest's cancel never ends the wait, a reset's does */
static void test_stuck(void)
{
    Rig *r = rig_started("on data cc 17e: silent");

    r->mood = HURRY_ANSWERED;
    g_assert_cmpint(cancelled_command(r), ==, TPM_CMD_STUCK);
    assert_reason(r, "no response within 200 ms after the command was");
    r->mood = PATIENT;
    r->l.ctl_ms = FAR;
    g_assert_true(tpm_link_reopen_data(&r->l, in_ms(FAR)));
    assert_works(r);
    rig_free(r);
}

static gpointer cancel_only(gpointer opaque)
{
    Rig *r = opaque;

    g_assert_true(tpm_fake_wait(r->fake, "data 8001 00000014", 1));
    g_atomic_int_set((gint *)&r->requests, TPM_REQ_CANCEL);
    g_assert_cmpint(write(r->wake[1], "12345678", 8), ==, 8);
    return NULL;
}

static void test_cancel_patient(void)
{
    Rig *r = rig_started("on data cc 17e: delay 1000");
    GThread *t = g_thread_new("ask", cancel_only, r);

    /* The answer to the cancel comes first, the response long after */
    r->mood = HURRY_ANSWERED;
    g_assert_cmpint(command(r), ==, TPM_CMD_DONE);
    g_thread_join(t);
    rig_free(r);
}

/* It was only stopped: both answers come in the end */
static void test_resync(void)
{
    Rig *r = rig_started("");
    uint32_t size = 4096;
    bool est;

    assert_works(r);
    tpm_fake_freeze(r->fake, true);
    r->mood = HURRY;
    r->requests = TPM_REQ_CANCEL | TPM_REQ_DRAIN;
    g_assert_cmpint(command(r), ==, TPM_CMD_LOST);
    assert_reason(r, "no answer to CMD_CANCEL_TPM_CMD within ");
    g_assert_false(r->l.down);
    g_assert_false(tpm_link_in_step(&r->l));
    g_assert_cmpint(command(r), ==, TPM_CMD_LOST);
    g_assert_false(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR)));
    assert_reason(r, "answers are outstanding");
    g_assert_false(tpm_link_resync(&r->l, in_ms(SHORT)));
    tpm_fake_freeze(r->fake, false);
    r->mood = PATIENT;
    r->l.ctl_ms = FAR;
    g_assert_true(tpm_link_resync(&r->l, in_ms(FAR)));
    g_assert_true(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR)));
    assert_works(r);
    rig_free(r);
}

static void test_frozen(void)
{
    Rig *r = rig_started("");
    uint32_t size = 4096, type;
    bool est;
    uint8_t *p = NULL;

    tpm_fake_freeze(r->fake, true);
    g_assert_false(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(SHORT)));
    tpm_fake_freeze(r->fake, false);
    g_assert_true(tpm_link_resync(&r->l, in_ms(FAR)));
    g_assert_true(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR)));
    tpm_fake_freeze(r->fake, true);
    g_assert_false(tpm_link_get_blob(&r->l, 1, &type, &p, &size, 1 << 20,
                                     in_ms(SHORT)));
    g_assert_null(p);
    tpm_fake_freeze(r->fake, false);
    g_assert_true(tpm_link_resync(&r->l, in_ms(FAR)));
    assert_works(r);
    tpm_fake_freeze(r->fake, true);
    g_assert_false(tpm_link_stop(&r->l, in_ms(SHORT)));
    g_assert_false(tpm_link_shutdown(&r->l, in_ms(SHORT)));
    tpm_fake_freeze(r->fake, false);
    tpm_fake_join(r->fake);
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
    assert_works(r);
    g_assert_true(tpm_fake_wait(r->fake, "ctrl SET_DATAFD", 4));
    rig_free(r);
}

static void test_locality(void)
{
    Rig *r = rig_started("");

    assert_works(r);
    g_assert_cmpint(tpm_link_command(&r->l, 9, pcr_read, sizeof(pcr_read),
                                     r->out, sizeof(r->out), &r->out_len,
                                     &r->ops), ==, TPM_CMD_DROPPED);
    assert_reason(r, "TPM result for CMD_SET_LOCALITY: 0x3d");
    assert_works(r);
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
    assert_reason(r, "at most 1048575 are accepted");
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
    g_test_add_func("/tpm-link/cancel", test_cancel);
    g_test_add_func("/tpm-link/cancel-answered-late", test_cancel_serial);
    g_test_add_func("/tpm-link/cancel-unable", test_cancel_unable);
    g_test_add_func("/tpm-link/cancel-silent", test_cancel_silent);
    g_test_add_func("/tpm-link/cancel-patient", test_cancel_patient);
    g_test_add_func("/tpm-link/stuck", test_stuck);
    g_test_add_func("/tpm-link/resync", test_resync);
    g_test_add_func("/tpm-link/frozen", test_frozen);
    g_test_add_func("/tpm-link/reconnect", test_reconnect);
    g_test_add_func("/tpm-link/locality", test_locality);
    g_test_add_func("/tpm-link/blobs", test_blobs);
    g_test_add_func("/tpm-link/blob-half", test_blob_half);
    return g_test_run();
}
