/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A TPM that is stopped for a while, wherever that hits, is not lost: what was
 * asked for comes in the end, or fails for who asked alone.  QMP answers all
 * the time, which tpm_rig_stop() checks.
 */
#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "tpm-rig.h"

/* Longer than 10 s, with which the deadlines began */
/* The worker is the same for all machines: one of them is frozen for long */
#define STALL_MS (g_str_equal(qtest_get_arch(), "x86_64") ? 12000 : 3000)

/* One device shows that; what it shares with the others is the back end */
static int64_t stall_ms(const TpmFront *front)
{
    return front == tpm_fronts() ? STALL_MS : 3000;
}

static TpmRig *start(const TpmFront *front, const char *tpmdev)
{
    TpmRigOptions options = { .tpmdev = tpmdev };
    TpmRig *r = tpm_rig_start(front, &options);

    tpm_good_run(r);
    return r;
}

static void pause_ms(TpmRig *r, int64_t ms)
{
    int64_t until = g_get_monotonic_time() + ms * 1000;

    while (g_get_monotonic_time() < until) {
        qtest_qmp_assert_success(r->qts, "{ 'execute': 'query-tpm' }");
        g_usleep(100000);
    }
}

static void assert_well(TpmRig *r)
{
    tpm_good_run(r);
    tpm_rig_await_state(r, "ready");
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, 0);
}

typedef struct Thaw {
    TpmFake *fake;
    int64_t ms;
} Thaw;

static gpointer thaw_later(gpointer opaque)
{
    Thaw *t = opaque;

    g_usleep(t->ms * 1000);
    tpm_fake_freeze(t->fake, false);
    return NULL;
}

/* Each message of a start waits for the stall to end */
static void test_start(gconstpointer front)
{
    g_autofree char *script = g_strdup_printf(
        "on ctrl GET_CAPABILITY: delay %d serial\n"
        "on ctrl INIT: delay 3000 serial", STALL_MS);
    TpmRigOptions options = { .script = script };
    TpmRig *r = tpm_rig_start(front, &options);

    assert_well(r);
    tpm_rig_stop(r);
}

static void test_reset(gconstpointer front)
{
    for (int command = 0; command < 2; command++) {
        TpmRig *r = start(front, NULL);

        tpm_fake_freeze(r->fake, true);
        if (command) {
            tpm_good_start(r);
        }
        tpm_rig_reset(r);
        pause_ms(r, stall_ms(front));
        tpm_fake_freeze(r->fake, false);
        assert_well(r);
        tpm_rig_stop(r);
    }
}

static void test_cancel(gconstpointer front)
{
    TpmRig *r = start(front, NULL);

    tpm_fake_freeze(r->fake, true);
    tpm_good_start(r);
    tpm_regs_cancel(r);
    pause_ms(r, STALL_MS);
    tpm_fake_freeze(r->fake, false);
    tpm_regs_wait(r);
    assert_well(r);
    tpm_rig_stop(r);
}

static void migrated(TpmRig *r, const char *uri)
{
    g_autofree char *how = NULL;

    g_assert_cmpstr(tpm_rig_migrate(r, uri), ==, NULL);
    how = tpm_rig_migrated(r);
    g_assert_cmpstr(how, ==, NULL);
}

/* Out, and in again: both wait */
static void test_migrate(gconstpointer front)
{
    TpmRigOptions incoming = { .args = "-incoming defer" };
    TpmRig *r = start(front, NULL);
    g_autofree char *file = g_strdup_printf("/tmp/tpm-stall.%d", getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    Thaw thaw = { .ms = stall_ms(front) };
    GThread *t;

    tpm_fake_freeze(r->fake, true);
    thaw.fake = r->fake;
    t = g_thread_new("thaw", thaw_later, &thaw);
    migrated(r, uri);
    g_thread_join(t);
    tpm_rig_stop(r);

    r = tpm_rig_start(front, &incoming);
    tpm_fake_freeze(r->fake, true);
    thaw.fake = r->fake;
    t = g_thread_new("thaw", thaw_later, &thaw);
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'migrate-incoming', "
                             "'arguments': { 'uri': %s } }", uri);
    tpm_rig_await_events(r, "RESUME", 1);
    g_thread_join(t);
    unlink(file);
    assert_well(r);
    tpm_rig_stop(r);
}

/* The migration gives up, and then the answers come that it asked for */
static void gives_up(const TpmFront *front, bool command)
{
    TpmRig *r = start(front, ",control-timeout=500");
    g_autofree char *file = g_build_filename(r->dir, "state", NULL);
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    g_autofree char *how = NULL;

    tpm_fake_freeze(r->fake, true);
    if (command) {
        tpm_good_start(r);
    }
    g_assert_cmpstr(tpm_rig_migrate(r, uri), ==, NULL);
    how = tpm_rig_migrated(r);
    g_test_message("%s", how);
    g_assert_nonnull(how);
    g_assert_nonnull(strstr(how, "tpm0"));
    tpm_rig_await_events(r, "RESUME", 1);
    if (!command) {
        tpm_good_start(r);
    }
    pause_ms(r, 1500);
    g_assert_false(tpm_regs_done(r));
    tpm_fake_freeze(r->fake, false);
    tpm_regs_wait(r);
    tpm_good_check(r);
    assert_well(r);
    migrated(r, uri);
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'cont' }");
    assert_well(r);
    unlink(file);
    tpm_rig_stop(r);
}

static void test_gives_up(gconstpointer front)
{
    gives_up(front, false);
    gives_up(front, true);
}

/* Lost by a reset that was in a hurry: it comes back by itself, untouched */
static void test_back(gconstpointer front)
{
    TpmRig *r = start(front, ",start-timeout=500,control-timeout=500");
    QDict *info;

    tpm_fake_freeze(r->fake, true);
    tpm_rig_reset(r);
    tpm_rig_await_loss(r, 1);
    tpm_fake_freeze(r->fake, false);
    tpm_rig_await_state(r, "ready");
    tpm_good_run(r);
    info = tpm_rig_info(r);
    g_assert_false(qdict_haskey(info, "last-error"));
    qobject_unref(info);
    /* Not so once the guest has missed it: only a reset mends that */
    tpm_fake_freeze(r->fake, true);
    tpm_rig_reset(r);
    tpm_rig_await_loss(r, 2);
    tpm_bad_run(r, tpm_code_failed(r));
    tpm_fake_freeze(r->fake, false);
    pause_ms(r, 1000);
    tpm_rig_assert_state(r, "lost");
    tpm_rig_reset(r);
    tpm_rig_await_state(r, "ready");
    tpm_good_run(r);
    tpm_rig_stop(r);
}

int main(int argc, char **argv)
{
    const TpmFront *first;

    g_test_init(&argc, &argv, NULL);
    first = tpm_fronts();
    qtest_add_data_func("tpm-stall/start", first, test_start);
    tpm_front_add("tpm-stall/reset", test_reset);
    qtest_add_data_func("tpm-stall/cancel", first, test_cancel);
    tpm_front_add("tpm-stall/migrate", test_migrate);
    tpm_front_add("tpm-stall/gives-up", test_gives_up);
    qtest_add_data_func("tpm-stall/back", first, test_back);
    return g_test_run();
}
