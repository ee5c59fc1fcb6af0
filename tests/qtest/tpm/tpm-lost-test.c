/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * When a TPM is lost, what is then told to whom, and how it comes back; and
 * that one which is only slow is not
 */
#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "tpm-rig.h"

#define RECONNECT ",reconnect-ms=100"
#define SLOW_MS 1000            /* longer than the timeout of TPM_HASTY */

static TpmRig *start(const TpmFront *front, const char *script,
                     const char *tpmdev, const char *chardev)
{
    TpmRigOptions options = {
        .script = script,
        .tpmdev = tpmdev,
        .chardev = chardev,
    };
    TpmRig *r = tpm_rig_start(front, &options);

    tpm_good_run(r);
    tpm_rig_assert_state(r, "ready");
    return r;
}

static void assert_no_loss(TpmRig *r)
{
    tpm_good_run(r);
    tpm_rig_assert_state(r, "ready");
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, 0);
}

static void assert_refused(TpmRig *r)
{
    g_autofree char *refused = tpm_rig_migrate(r, "exec:cat >/dev/null");

    g_test_message("migrate: %s", refused);
    g_assert_nonnull(refused);
    g_assert_nonnull(strstr(refused, "tpm0"));
}

static void lose(TpmRig *r)
{
    tpm_rig_kill_fake(r);
    tpm_rig_await_loss(r, 1);
    tpm_bad_run(r, tpm_code_failed(r));
    /* Nothing to cancel, and no harm in it */
    tpm_regs_take(r);
    tpm_regs_cancel(r);
    assert_refused(r);
    /* The machine outlives a reset, and is not told again */
    tpm_rig_reset(r);
    tpm_bad_run(r, tpm_code_failed(r));
    tpm_rig_await_loss(r, 1);
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'stop' }");
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
    tpm_rig_await_events(r, "RESUME", 1);
    tpm_rig_await_loss(r, 1);
    assert_refused(r);
}

static void test_kill(gconstpointer front)
{
    TpmRig *r = start(front, NULL, TPM_PATIENT, NULL);

    lose(r);
    tpm_rig_stop(r);
}

static void test_kill_1_2(gconstpointer front)
{
    TpmRig *r = start(front, "version 1.2", TPM_PATIENT, NULL);

    lose(r);
    tpm_rig_stop(r);
}

/* In the middle of a command */
static void test_kill_busy(gconstpointer front)
{
    TpmRig *r = start(front, "on data cc 17e #2: silent", TPM_PATIENT, NULL);

    tpm_good_start_heard(r);
    tpm_rig_assert_state(r, "busy");
    g_assert_false(tpm_regs_done(r));
    tpm_rig_kill_fake(r);
    tpm_regs_wait(r);
    g_assert_cmphex(tpm_error_response(r), ==, tpm_code_failed(r));
    tpm_rig_await_loss(r, 1);
    tpm_rig_stop(r);
}

/* What was measured is gone with the old backend: not before a reset */
static void test_reconnect(gconstpointer front)
{
    TpmRig *r = start(front, NULL, TPM_PATIENT, RECONNECT);

    tpm_rig_kill_fake(r);
    tpm_rig_await_loss(r, 1);
    tpm_rig_new_fake(r, NULL);
    g_assert_true(tpm_fake_wait(r->fake, "connect", 1));
    tpm_ask_more(r->ask, 10);
    tpm_rig_assert_state(r, "lost");
    tpm_bad_run(r, tpm_code_failed(r));
    g_assert_cmpuint(tpm_rig_reached(r), ==, 0);
    assert_refused(r);
    tpm_rig_reset(r);
    tpm_good_run(r);
    tpm_rig_assert_state(r, "ready");
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, 1);
    g_assert_cmpstr(tpm_rig_migrate(r, "exec:cat >/dev/null"), ==, NULL);
    g_assert_cmpstr(tpm_rig_migrated(r), ==, NULL);
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
    /* Once more, while the guest resets */
    tpm_rig_kill_fake(r);
    tpm_rig_await_loss(r, 2);
    tpm_rig_reset(r);
    tpm_good_start(r);
    tpm_ask_more(r->ask, 10);
    g_assert_false(tpm_regs_done(r));
    tpm_rig_new_fake(r, NULL);
    tpm_regs_wait(r);
    tpm_good_check(r);
    tpm_rig_assert_state(r, "ready");
    tpm_rig_stop(r);
}

static void test_other_version(gconstpointer front)
{
    TpmRig *r = start(front, NULL, TPM_HASTY, RECONNECT);
    QDict *info;

    tpm_rig_kill_fake(r);
    tpm_rig_await_loss(r, 1);
    tpm_rig_new_fake(r, "version 1.2");
    tpm_rig_reset(r);
    tpm_bad_run(r, tpm_code_failed(r));
    tpm_rig_await_loss(r, 1);
    info = tpm_rig_info(r);
    g_test_message("%s", qdict_get_str(info, "last-error"));
    g_assert_cmpstr(qdict_get_str(info, "tpm-version"), ==, "v2-0");
    g_assert_nonnull(strstr(qdict_get_str(info, "last-error"), "1.2, not"));
    qobject_unref(info);
    /* The right one is taken back */
    tpm_rig_new_fake(r, NULL);
    g_assert_true(tpm_fake_wait(r->fake, "connect", 1));
    tpm_rig_reset(r);
    tpm_good_run(r);
    tpm_rig_assert_state(r, "ready");
    tpm_rig_stop(r);
}

/*
 * The answer to a step of a reset is bad: either it takes another connection
 * at once, or the TPM is lost until the next reset
 */
static void reset_step(TpmRig *r, const char *step, const char *fault)
{
    unsigned lost = tpm_rig_events(r, "TPM_BACKEND_ERROR");
    bool silent = g_str_equal(fault, "silent");
    uint8_t rsp[64];

    g_test_message("%s: %s", step, fault);
    tpm_rig_rule(r, "on ctrl %s: %s", step, fault);
    tpm_rig_reset(r);
    tpm_good_start(r);
    tpm_regs_wait(r);
    if (tpm_regs_response(r, rsp, sizeof(rsp)) == tpm_good(r)->rsp_len) {
        g_assert_false(silent);
    } else {
        tpm_rig_await_loss(r, lost + 1);
        tpm_rig_reset(r);
        tpm_good_run(r);
    }
    tpm_rig_await_state(r, "ready");
}

static void test_reset_steps(gconstpointer front)
{
    static const char *const steps[] = {
        "STOP", "SET_BUFFERSIZE", "INIT", "GET_TPMESTABLISHED"
    };
    static const char *const faults[] = { "silent", "rubbish 64", "extra 1" };
    TpmRig *r = start(front, NULL, TPM_HASTY, RECONNECT);

    for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
        /* Each silence takes the whole timeout: only with every other step */
        for (unsigned f = i % 2; f < G_N_ELEMENTS(faults); f++) {
            reset_step(r, steps[i], faults[f]);
        }
    }
    tpm_rig_stop(r);
}

/* The start after a loss fails, too; it must not end there */
static void test_lost_again(gconstpointer front)
{
    TpmRig *r = start(front, NULL, TPM_HASTY, RECONNECT);

    tpm_rig_kill_fake(r);
    tpm_rig_await_loss(r, 1);
    tpm_rig_new_fake(r, "on ctrl INIT: silent");
    g_assert_true(tpm_fake_wait(r->fake, "connect", 1));
    tpm_rig_reset(r);
    tpm_bad_run(r, tpm_code_failed(r));
    tpm_rig_await_loss(r, 1);
    tpm_rig_reset(r);
    tpm_good_run(r);
    tpm_rig_assert_state(r, "ready");
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, 1);
    tpm_rig_stop(r);
}

/* One that closes the connection may be back at once: nothing is lost then */
static void test_reset_closed(gconstpointer front)
{
    static const char *const steps[] = {
        "STOP", "SET_BUFFERSIZE", "INIT", "GET_TPMESTABLISHED"
    };
    TpmRig *r = start(front, NULL, TPM_PATIENT, RECONNECT);

    for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
        tpm_rig_rule(r, "on ctrl %s: close", steps[i]);
        tpm_rig_reset(r);
        assert_no_loss(r);
    }
    tpm_rig_stop(r);
}

/* A TPM that says no is there, but of no use */
static void test_refusing(gconstpointer front)
{
    TpmRig *r = start(front, NULL, TPM_PATIENT, NULL);

    tpm_rig_rule(r, "on ctrl INIT: result 9");
    tpm_rig_reset(r);
    tpm_rig_await_loss(r, 1);
    tpm_bad_run(r, tpm_code_failed(r));
    tpm_rig_reset(r);
    tpm_good_run(r);
    tpm_rig_assert_state(r, "ready");
    tpm_rig_stop(r);
}

/* Commands have no deadline: keys take as long as they take */
static void test_slow(gconstpointer front)
{
    TpmRig *r = start(front, NULL, TPM_HASTY, NULL);

    tpm_rig_rule(r, "on data cc 17e: delay %d serial", SLOW_MS);
    tpm_good_start(r);
    tpm_rig_assert_state(r, "busy");
    tpm_regs_wait(r);
    tpm_good_check(r);
    assert_no_loss(r);
    tpm_rig_stop(r);
}

/* Alive, though it hears of the cancel only when the command is done */
static void test_slow_cancel(gconstpointer front)
{
    TpmRig *r = start(front, NULL, TPM_PATIENT, NULL);

    tpm_rig_rule(r, "on data cc 17e: delay %d serial", SLOW_MS);
    tpm_good_start_heard(r);
    tpm_regs_cancel(r);
    tpm_regs_cancel(r);
    tpm_regs_wait(r);
    tpm_good_check(r);
    assert_no_loss(r);
    /* Once a command */
    g_assert_true(tpm_fake_wait(r->fake, "ctrl CANCEL_TPM_CMD", 1));
    tpm_rig_rule(r, "on data cc 17e: wait-cancel");
    tpm_good_start_heard(r);
    g_assert_false(tpm_regs_done(r));
    tpm_regs_cancel(r);
    tpm_regs_wait(r);
    tpm_good_check(r);
    assert_no_loss(r);
    tpm_rig_stop(r);
}

/* Reset, twice, while a key is made: cancelled, not killed */
static void test_slow_reset(gconstpointer front)
{
    TpmRig *r = start(front, NULL, TPM_PATIENT, NULL);

    tpm_rig_rule(r, "on data cc 17e: delay %d serial", SLOW_MS);
    tpm_good_start_heard(r);
    tpm_rig_reset(r);
    tpm_rig_reset(r);
    tpm_good_run(r);
    assert_no_loss(r);
    g_assert_true(tpm_fake_wait(r->fake, "ctrl CANCEL_TPM_CMD", 1));
    tpm_rig_rule(r, "on data cc 17e: wait-cancel");
    tpm_good_start_heard(r);
    tpm_rig_reset(r);
    tpm_good_run(r);
    assert_no_loss(r);
    tpm_rig_stop(r);
}

/* It answers, but not the command, whatever one does: a new data channel */
static void test_stuck(gconstpointer front)
{
    TpmRig *r = start(front, NULL, TPM_HASTY, NULL);

    tpm_rig_rule(r, "on data cc 17e: silent");
    tpm_good_start_heard(r);
    tpm_regs_cancel(r);
    g_assert_true(tpm_fake_wait(r->fake, "ctrl CANCEL_TPM_CMD", 1));
    /* A guest that waits may do so */
    g_usleep(1000 * 1000);
    g_assert_false(tpm_regs_done(r));
    tpm_rig_assert_state(r, "busy");
    tpm_rig_reset(r);
    tpm_good_run(r);
    assert_no_loss(r);
    tpm_rig_stop(r);
}

/* The backend cannot cancel: it is asked for its capabilities instead */
static void test_no_cancel(gconstpointer front)
{
    TpmRig *r = start(front, "caps ffdf", TPM_PATIENT, NULL);

    tpm_rig_rule(r, "on data cc 17e: delay %d", SLOW_MS);
    tpm_good_start_heard(r);
    tpm_regs_cancel(r);
    tpm_regs_wait(r);
    tpm_good_check(r);
    assert_no_loss(r);
    tpm_rig_rule(r, "on data cc 17e: delay %d", SLOW_MS);
    tpm_good_start_heard(r);
    tpm_rig_reset(r);
    tpm_good_run(r);
    assert_no_loss(r);
    tpm_rig_stop(r);
}

static QDict *counters(TpmRig *r, QDict **info)
{
    *info = tpm_rig_info(r);
    return qdict_get_qdict(*info, "counters");
}

static void test_query(gconstpointer opaque)
{
    const TpmFront *front = opaque;
    TpmRig *r = start(front, NULL, TPM_PATIENT, NULL);
    const TpmGood *good = tpm_good(r);
    QDict *info, *c = counters(r, &info);
    int64_t in = qdict_get_int(c, "bytes-in"), old_in;

    g_assert_cmpstr(qdict_get_str(info, "tpm-version"), ==, "v2-0");
    g_assert_cmpint(qdict_get_int(info, "buffer-size"), ==, front->limit);
    g_assert_false(qdict_haskey(info, "last-error"));
    g_assert_cmpint(qdict_get_int(c, "commands"), ==, 1);
    g_assert_cmpint(qdict_get_int(c, "errors"), ==, 0);
    g_assert_cmpint(qdict_get_int(c, "cancels"), ==, 0);
    /* As the TPM, or as the guest has it: the sum is the same */
    g_assert_cmpint(in + qdict_get_int(c, "bytes-out"), ==,
                    good->cmd_len + good->rsp_len);
    g_assert_cmpint(qdict_get_int(c, "latency-mean-ns"), >, 0);
    g_assert_cmpint(qdict_get_int(c, "latency-peak-ns"), >=,
                    qdict_get_int(c, "latency-mean-ns"));
    old_in = in;
    qobject_unref(info);
    tpm_rig_rule(r, "on data cc 17e: wait-cancel");
    tpm_good_start_heard(r);
    tpm_regs_cancel(r);
    tpm_regs_wait(r);
    c = counters(r, &info);
    in = qdict_get_int(c, "bytes-in");
    g_assert_cmpint(qdict_get_int(c, "commands"), ==, 2);
    g_assert_cmpint(qdict_get_int(c, "cancels"), ==, 1);
    g_assert_cmpint(in, ==, 2 * old_in);
    qobject_unref(info);
    tpm_rig_kill_fake(r);
    tpm_rig_await_loss(r, 1);
    tpm_bad_run(r, tpm_code_failed(r));
    c = counters(r, &info);
    g_assert_cmpint(qdict_get_int(c, "errors"), ==, 1);
    qobject_unref(info);
    tpm_rig_stop(r);
}

int main(int argc, char **argv)
{
    const TpmFront *first;

    g_test_init(&argc, &argv, NULL);
    first = tpm_fronts();
    tpm_front_add("tpm-lost/kill", test_kill);
    qtest_add_data_func("tpm-lost/kill-1.2", first, test_kill_1_2);
    tpm_front_add("tpm-lost/kill-busy", test_kill_busy);
    tpm_front_add("tpm-lost/reconnect", test_reconnect);
    qtest_add_data_func("tpm-lost/other-version", first, test_other_version);
    qtest_add_data_func("tpm-lost/reset-steps", first, test_reset_steps);
    qtest_add_data_func("tpm-lost/lost-again", first, test_lost_again);
    qtest_add_data_func("tpm-lost/reset-closed", first, test_reset_closed);
    qtest_add_data_func("tpm-lost/refusing", first, test_refusing);
    qtest_add_data_func("tpm-lost/slow", first, test_slow);
    tpm_front_add("tpm-lost/slow-cancel", test_slow_cancel);
    tpm_front_add("tpm-lost/slow-reset", test_slow_reset);
    qtest_add_data_func("tpm-lost/stuck", first, test_stuck);
    qtest_add_data_func("tpm-lost/no-cancel", first, test_no_cancel);
    tpm_front_add("tpm-lost/query", test_query);
    return g_test_run();
}
