/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Counters of a TPM's commands
 */
#include <glib.h>
#include "hw/tpm/tpm-counters.h"

static void test_commands(void)
{
    TpmTally t = { 0 };

    g_assert_cmpint(tpm_tally_mean_ns(&t), ==, 0);
    tpm_tally_begin(&t, 20, 1000);
    g_assert_cmpint(tpm_tally_mean_ns(&t), ==, 0);
    tpm_tally_end(&t, 62, false, 4000);
    tpm_tally_begin(&t, 12, 5000);
    tpm_tally_end(&t, 10, true, 6000);
    g_assert_cmpint(t.commands, ==, 2);
    g_assert_cmpint(t.answered, ==, 2);
    g_assert_cmpint(t.errors, ==, 1);
    g_assert_cmpint(t.cancels, ==, 0);
    g_assert_cmpint(t.bytes_in, ==, 32);
    g_assert_cmpint(t.bytes_out, ==, 72);
    g_assert_cmpint(t.busy_ns, ==, 4000);
    g_assert_cmpint(t.peak_ns, ==, 3000);
    g_assert_cmpint(tpm_tally_mean_ns(&t), ==, 2000);
}

static void test_cancel(void)
{
    TpmTally t = { 0 };

    tpm_tally_cancel(&t);
    g_assert_cmpint(t.cancels, ==, 0);
    for (int i = 1; i <= 2; i++) {
        tpm_tally_begin(&t, 10, 0);
        tpm_tally_cancel(&t);
        tpm_tally_cancel(&t);
        g_assert_cmpint(t.cancels, ==, i);
        tpm_tally_end(&t, 10, false, 0);
        tpm_tally_cancel(&t);
        g_assert_cmpint(t.cancels, ==, i);
    }
}

static void test_abandon(void)
{
    TpmTally t = { 0 };

    tpm_tally_begin(&t, 10, 0);
    tpm_tally_abandon(&t);
    tpm_tally_end(&t, 10, true, 1000);
    g_assert_cmpint(t.commands, ==, 1);
    g_assert_cmpint(t.answered, ==, 0);
    g_assert_cmpint(t.errors, ==, 0);
    g_assert_cmpint(t.bytes_out, ==, 0);
    g_assert_cmpint(t.peak_ns, ==, 0);
    /* A clock that goes back does no harm */
    tpm_tally_begin(&t, 10, 1000);
    tpm_tally_end(&t, 10, false, 0);
    g_assert_cmpint(t.busy_ns, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tpm-counters/commands", test_commands);
    g_test_add_func("/tpm-counters/cancel", test_cancel);
    g_test_add_func("/tpm-counters/abandon", test_abandon);
    return g_test_run();
}
