/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Whatever the TPM's backend does not answer, QEMU does: another QMP client
 * asks all the time, and tpm_rig_stop() checks that it never had to wait
 */
#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "tpm-rig.h"

#define ANSWERS 15
#define RC_CANCELED 0x909

/* How a backend is out of reach */
typedef enum Fault {
    FAULT_FROZEN,
    FAULT_SILENT,
    FAULT_CLOSED,
    FAULT_RUBBISH,
    FAULTS
} Fault;

static const char *const fault_rules[FAULTS] = {
    [FAULT_SILENT] = "on ctrl any *: silent\non data *: silent",
    [FAULT_CLOSED] = "on ctrl any *: close\non data *: close",
    [FAULT_RUBBISH] = "on ctrl any *: rubbish 100\non data *: rubbish 100",
};

static TpmRig *start(const TpmFront *front, const char *tpmdev)
{
    TpmRigOptions options = { .tpmdev = tpmdev };
    TpmRig *r = tpm_rig_start(front, &options);

    tpm_good_run(r);
    return r;
}

static void break_it(TpmRig *r, Fault fault)
{
    g_test_message("fault %d", fault);
    if (fault == FAULT_FROZEN) {
        tpm_fake_freeze(r->fake, true);
    } else {
        tpm_rig_rule(r, "%s", fault_rules[fault]);
    }
}

/* A command that is cancelled, and nobody hears of it */
static void cancel_unheard(TpmRig *r)
{
    uint32_t code;

    do {
        tpm_good_start(r);
        tpm_ask_more(r->ask, 3);
        tpm_regs_cancel(r);
        tpm_regs_wait(r);
        code = tpm_error_response(r);
        /* A cancel that is quicker than the command ends it in QEMU */
    } while (code == RC_CANCELED);
    g_assert_cmphex(code, ==, tpm_code_failed(r));
}

static void assert_running(TpmRig *r)
{
    QDict *answer = qtest_qmp(r->qts, "{ 'execute': 'query-status' }");
    QDict *status = qdict_get_qdict(answer, "return");

    g_assert_true(qdict_get_bool(status, "running"));
    qobject_unref(answer);
}

/* Cancel and reset with nobody there who could finish the command */
static void test_frozen(gconstpointer front)
{
    TpmRig *r = start(front, TPM_PATIENT);

    tpm_fake_freeze(r->fake, true);
    tpm_good_start(r);
    tpm_ask_more(r->ask, ANSWERS);
    tpm_rig_assert_state(r, "busy");
    tpm_regs_cancel(r);
    tpm_ask_more(r->ask, ANSWERS);
    tpm_rig_reset(r);
    tpm_ask_more(r->ask, ANSWERS);
    /* Behind the start, which waits for the command given up */
    tpm_good_start(r);
    g_assert_false(tpm_regs_done(r));
    tpm_ask_more(r->ask, ANSWERS);
    tpm_regs_cancel(r);
    tpm_rig_reset(r);
    tpm_rig_reset(r);
    tpm_good_start(r);
    tpm_rig_assert_state(r, "busy");
    tpm_ask_more(r->ask, ANSWERS);
    tpm_fake_freeze(r->fake, false);
    tpm_regs_wait(r);
    tpm_good_check(r);
    tpm_rig_assert_state(r, "ready");
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, 0);
    tpm_rig_stop(r);
}

/* A migration waits for the TPM, and nothing waits for the migration */
static void migrate_frozen(const TpmFront *front, bool command, bool cancel)
{
    TpmRig *r = start(front, TPM_PATIENT);
    g_autofree char *file = g_build_filename(r->dir, "state", NULL);
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *how = NULL;

    tpm_fake_freeze(r->fake, true);
    if (command) {
        tpm_good_start(r);
    }
    g_assert_cmpstr(tpm_rig_migrate(r, uri), ==, NULL);
    /* It stops the machine when it comes to the TPM */
    tpm_rig_await_events(r, "STOP", 1);
    tpm_ask_more(r->ask, ANSWERS);
    if (cancel) {
        qtest_qmp_assert_success(r->qts, "{ 'execute': 'migrate_cancel' }");
        tpm_ask_more(r->ask, ANSWERS);
    }
    tpm_fake_freeze(r->fake, false);
    how = tpm_rig_migrated(r);
    if (cancel) {
        g_assert_nonnull(how);
        tpm_rig_await_events(r, "RESUME", 1);
        assert_running(r);
    } else {
        g_assert_cmpstr(how, ==, NULL);
        qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
    }
    if (command) {
        tpm_regs_wait(r);
        tpm_good_check(r);
    }
    tpm_good_run(r);
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, 0);
    unlink(file);
    tpm_rig_stop(r);
}

static void test_migrate(gconstpointer front)
{
    migrate_frozen(front, false, false);
    migrate_frozen(front, true, false);
}

static void test_migrate_cancel(gconstpointer front)
{
    migrate_frozen(front, false, true);
    migrate_frozen(front, true, true);
}

/* The guest cancels, is not heard, resets */
static void test_cancel_verdict(gconstpointer front)
{
    for (Fault fault = FAULT_FROZEN; fault < FAULTS; fault++) {
        TpmRig *r = start(front, TPM_HASTY);

        break_it(r, fault);
        cancel_unheard(r);
        tpm_rig_await_loss(r, 1);
        tpm_bad_run(r, tpm_code_failed(r));
        tpm_rig_reset(r);
        tpm_ask_more(r->ask, 1);
        tpm_bad_run(r, tpm_code_failed(r));
        tpm_rig_await_loss(r, 1);
        assert_running(r);
        tpm_rig_stop(r);
    }
}

/* The guest resets: with a command in flight, and without one */
static void reset_verdict(const TpmFront *front, Fault fault, bool command)
{
    bool waits = fault == FAULT_FROZEN || fault == FAULT_SILENT;
    TpmRig *r = start(front, TPM_HASTY);

    break_it(r, fault);
    if (command) {
        tpm_good_start(r);
    }
    tpm_rig_reset(r);
    tpm_ask_more(r->ask, 1);
    tpm_rig_await_loss(r, 1);
    tpm_bad_run(r, tpm_code_failed(r));
    if (!waits) {
        tpm_rig_reset(r);
        tpm_bad_run(r, tpm_code_failed(r));
    }
    tpm_rig_await_loss(r, 1);
    assert_running(r);
    tpm_rig_stop(r);
}

static void test_reset_verdict(gconstpointer front)
{
    for (Fault fault = FAULT_FROZEN; fault < FAULTS; fault++) {
        reset_verdict(front, fault, fault % 2);
    }
}

/* Stopped for a while only: the next reset brings it back */
static void test_thaw(gconstpointer front)
{
    TpmRig *r = start(front, TPM_HASTY);

    tpm_fake_freeze(r->fake, true);
    cancel_unheard(r);
    tpm_rig_await_loss(r, 1);
    /* What the guest gives now is missing in the TPM */
    tpm_bad_run(r, tpm_code_failed(r));
    tpm_fake_freeze(r->fake, false);
    tpm_ask_more(r->ask, ANSWERS);
    tpm_rig_assert_state(r, "lost");
    tpm_rig_reset(r);
    tpm_rig_await_state(r, "ready");
    tpm_good_run(r);
    /* And it is told again when it is lost again */
    tpm_fake_freeze(r->fake, true);
    tpm_rig_reset(r);
    tpm_rig_await_loss(r, 2);
    tpm_rig_stop(r);
}

static void migrate_verdict(const TpmFront *front, Fault fault, bool command)
{
    bool waits = fault == FAULT_FROZEN || fault == FAULT_SILENT;
    TpmRig *r = start(front, TPM_HASTY);
    g_autofree char *file = g_build_filename(r->dir, "state", NULL);
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *how = NULL, *refused = NULL;

    break_it(r, fault);
    if (command) {
        tpm_good_start(r);
    }
    how = tpm_rig_migrate(r, uri);
    if (!how) {
        how = tpm_rig_migrated(r);
    }
    g_test_message("migrate: %s", how);
    g_assert_nonnull(how);
    g_assert_nonnull(strstr(how, "TPM"));
    g_assert_nonnull(strstr(how, "tpm0"));
    assert_running(r);
    if (waits) {
        /* The migration's misfortune alone */
        g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, 0);
        unlink(file);
        tpm_rig_stop(r);
        return;
    }
    tpm_rig_await_loss(r, 1);
    /* The machine runs on, without its TPM */
    if (command) {
        tpm_regs_wait(r);
        g_assert_cmphex(tpm_error_response(r), ==, tpm_code_failed(r));
    }
    tpm_bad_run(r, tpm_code_failed(r));
    refused = tpm_rig_migrate(r, uri);
    g_test_message("migrate again: %s", refused);
    g_assert_nonnull(refused);
    g_assert_nonnull(strstr(refused, "tpm0"));
    unlink(file);
    tpm_rig_stop(r);
}

static void test_migrate_verdict(gconstpointer front)
{
    for (Fault fault = FAULT_FROZEN; fault < FAULTS; fault++) {
        migrate_verdict(front, fault, fault % 2);
    }
}

static void test_quit(gconstpointer front)
{
    for (Fault fault = FAULT_FROZEN; fault < FAULTS; fault++) {
        TpmRig *r = start(front, TPM_HASTY);

        break_it(r, fault);
        tpm_good_start(r);
        tpm_regs_cancel(r);
        tpm_rig_stop(r);

        r = start(front, TPM_HASTY);
        break_it(r, fault);
        tpm_rig_stop(r);
    }
}

int main(int argc, char **argv)
{
    const TpmFront *first;

    g_test_init(&argc, &argv, NULL);
    first = tpm_fronts();
    tpm_front_add("tpm-deadline/frozen", test_frozen);
    tpm_front_add("tpm-deadline/migrate", test_migrate);
    /* These are the backend's alone, so that one device will do */
    qtest_add_data_func("tpm-deadline/thaw", first, test_thaw);
    qtest_add_data_func("tpm-deadline/migrate-cancel", first,
                        test_migrate_cancel);
    qtest_add_data_func("tpm-deadline/cancel-verdict", first,
                        test_cancel_verdict);
    qtest_add_data_func("tpm-deadline/reset-verdict", first,
                        test_reset_verdict);
    qtest_add_data_func("tpm-deadline/migrate-verdict", first,
                        test_migrate_verdict);
    qtest_add_data_func("tpm-deadline/quit", first, test_quit);
    return g_test_run();
}
