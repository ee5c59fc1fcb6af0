/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The connection to swtpm: a command that takes too long
 */
#include <unistd.h>
#include "tpm-link-rig.h"

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
    TpmCmdResult result = rig_command(r);

    g_thread_join(t);
    return result;
}

static void test_cancel(void)
{
    Rig *r = rig_started("on data cc 17e: wait-cancel");

    g_assert_cmpint(cancelled_command(r), ==, TPM_CMD_DONE);
    rig_assert_log(r, "ctrl CANCEL_TPM_CMD\n", true);
    rig_assert_works(r);
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
    rig_assert_works(r);
    rig_free(r);
}

/* Without the ability to cancel, a sign of life is asked for */
static void test_cancel_unable(void)
{
    Rig *r = rig_started("caps ffdf\non data cc 17e: delay 500");

    g_assert_cmpint(cancelled_command(r), ==, TPM_CMD_DONE);
    rig_assert_log(r, "CANCEL", false);
    rig_assert_works(r);
    rig_free(r);
}

static void test_cancel_silent(void)
{
    Rig *r = rig_started("on data cc 17e: silent\n"
                         "on ctrl CANCEL_TPM_CMD: silent");

    r->mood = HURRY;
    g_assert_cmpint(cancelled_command(r), ==, TPM_CMD_LOST);
    rig_assert_reason(r, "no answer to CMD_CANCEL_TPM_CMD within ");
    g_assert_false(r->l.down);
    g_assert_false(tpm_link_resync(&r->l, NULL, in_ms(SHORT)));
    rig_free(r);
}

/* A guest's cancel never ends the wait, a reset's does */
static void test_stuck(void)
{
    Rig *r = rig_started("on data cc 17e: silent");

    r->mood = HURRY_ANSWERED;
    g_assert_cmpint(cancelled_command(r), ==, TPM_CMD_STUCK);
    rig_assert_reason(r, "no response within 200 ms after the command was");
    r->mood = PATIENT;
    r->l.ctl_ms = FAR;
    g_assert_true(tpm_link_reopen_data(&r->l, in_ms(FAR)));
    rig_assert_works(r);
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
    g_assert_cmpint(rig_command(r), ==, TPM_CMD_DONE);
    g_thread_join(t);
    rig_free(r);
}

/* It was only stopped: both answers come in the end */
static void test_resync(void)
{
    Rig *r = rig_started("");
    uint32_t size = 4096;
    bool est;

    rig_assert_works(r);
    tpm_fake_freeze(r->fake, true);
    r->mood = HURRY;
    r->requests = TPM_REQ_CANCEL | TPM_REQ_DRAIN;
    g_assert_cmpint(rig_command(r), ==, TPM_CMD_LOST);
    rig_assert_reason(r, "no answer to CMD_CANCEL_TPM_CMD within ");
    g_assert_false(r->l.down);
    g_assert_false(tpm_link_in_step(&r->l));
    /* The next one is not sent, and need not wait */
    g_assert_cmpint(rig_command(r), ==, TPM_CMD_CANCELLED);
    g_assert_true(tpm_link_collect(&r->l));
    g_assert_true(tpm_link_owes(&r->l));
    g_assert_false(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR)));
    rig_assert_reason(r, "answers are outstanding");
    g_assert_false(tpm_link_resync(&r->l, NULL, in_ms(SHORT)));
    tpm_fake_freeze(r->fake, false);
    r->mood = PATIENT;
    r->l.ctl_ms = FAR;
    g_assert_true(tpm_link_resync(&r->l, NULL, in_ms(FAR)));
    g_assert_true(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR)));
    rig_assert_works(r);
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
    g_assert_true(tpm_link_resync(&r->l, NULL, in_ms(FAR)));
    g_assert_true(tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR)));
    tpm_fake_freeze(r->fake, true);
    g_assert_false(tpm_link_get_blob(&r->l, 1, &type, &p, &size, 1 << 20,
                                     in_ms(SHORT)));
    g_assert_null(p);
    tpm_fake_freeze(r->fake, false);
    g_assert_true(tpm_link_resync(&r->l, NULL, in_ms(FAR)));
    rig_assert_works(r);
    tpm_fake_freeze(r->fake, true);
    g_assert_false(tpm_link_stop(&r->l, in_ms(SHORT)));
    g_assert_false(tpm_link_shutdown(&r->l, in_ms(SHORT)));
    tpm_fake_freeze(r->fake, false);
    tpm_fake_join(r->fake);
    rig_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tpm-link/cancel", test_cancel);
    g_test_add_func("/tpm-link/cancel-answered-late", test_cancel_serial);
    g_test_add_func("/tpm-link/cancel-unable", test_cancel_unable);
    g_test_add_func("/tpm-link/cancel-silent", test_cancel_silent);
    g_test_add_func("/tpm-link/cancel-patient", test_cancel_patient);
    g_test_add_func("/tpm-link/stuck", test_stuck);
    g_test_add_func("/tpm-link/resync", test_resync);
    g_test_add_func("/tpm-link/frozen", test_frozen);
    return g_test_run();
}
