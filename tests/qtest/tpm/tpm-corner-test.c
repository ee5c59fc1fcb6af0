/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Where a TPM meets the rest: QEMU's end while a migration waits for it, a type
 * that management looks at, a guest that changes localities under a command
 */
#include "qemu/osdep.h"
#include "hw/acpi/tpm.h"
#include "qobject/qdict.h"
#include "tpm-rig.h"

static void await_status(TpmRig *r, const char *status)
{
    int64_t deadline = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;
    bool there;

    do {
        QDict *rsp = qtest_qmp_assert_success_ref(
            r->qts, "{ 'execute': 'query-status' }");

        there = g_str_equal(qdict_get_str(rsp, "status"), status);
        qobject_unref(rsp);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    } while (!there);
}

/* The thread that waits must not be left without what it waits for */
static void test_quit(const void *opaque)
{
    TpmRig *r = tpm_rig_start(opaque, &(TpmRigOptions) {
        .tpmdev = TPM_PATIENT,
    });

    tpm_good_run(r);
    tpm_fake_freeze(r->fake, true);
    g_assert_null(tpm_rig_migrate(r, "exec:cat >/dev/null"));
    await_status(r, "finish-migrate");
    tpm_rig_stop(r);
}

/* Instances that are made only to be looked at change nothing */
static void test_looked_at(const void *opaque)
{
    TpmRig *r = tpm_rig_start(opaque, &(TpmRigOptions) {
        .script = "on ctrl GET_STATEBLOB: result 9\n",
    });
    g_autofree char *why = NULL;

    tpm_good_run(r);
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'qom-list-properties', "
                             "'arguments': { 'typename': 'tpm-emulator' } }");
    g_assert_null(tpm_rig_migrate(r, "exec:cat >/dev/null"));
    why = tpm_rig_migrated(r);
    g_assert_nonnull(why);
    g_assert_nonnull(strstr(why, "TPM 'tpm0'"));
    g_assert_nonnull(strstr(why, "stateblob"));
    tpm_rig_stop(r);
}

static uint64_t reg(TpmRig *r, unsigned locality, unsigned offset)
{
    return r->front->base + (locality << 12) + offset;
}

static void write_command(TpmRig *r, unsigned locality)
{
    static const uint8_t startup[] = {
        0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0,
    };

    qtest_writeb(r->qts, reg(r, locality, TPM_TIS_REG_ACCESS),
                 TPM_TIS_ACCESS_REQUEST_USE);
    qtest_writel(r->qts, reg(r, locality, TPM_TIS_REG_STS),
                 TPM_TIS_STS_COMMAND_READY);
    for (unsigned i = 0; i < sizeof(startup); i++) {
        qtest_writeb(r->qts, reg(r, locality, TPM_TIS_REG_DATA_FIFO),
                     startup[i]);
    }
}

static void go(TpmRig *r, unsigned locality)
{
    qtest_writel(r->qts, reg(r, locality, TPM_TIS_REG_STS),
                 TPM_TIS_STS_TPM_GO);
}

static void await_response(TpmRig *r, unsigned locality)
{
    int64_t deadline = g_get_monotonic_time() + 60 * G_TIME_SPAN_SECOND;

    while (!(qtest_readl(r->qts, reg(r, locality, TPM_TIS_REG_STS)) &
             TPM_TIS_STS_DATA_AVAILABLE)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

/* The command of another locality waits until the first has ended */
static void test_localities(const void *opaque)
{
    const TpmFront *front = opaque;
    TpmRig *r;

    if (front->kind != TPM_KIND_TIS) {
        g_test_skip("has one locality, or another way to its registers");
        return;
    }
    r = tpm_rig_start(front, &(TpmRigOptions) { .tpmdev = TPM_PATIENT });
    tpm_fake_freeze(r->fake, true);
    write_command(r, 0);
    go(r, 0);
    qtest_writeb(r->qts, reg(r, 0, TPM_TIS_REG_ACCESS),
                 TPM_TIS_ACCESS_ACTIVE_LOCALITY);
    write_command(r, 1);
    go(r, 1);
    tpm_rig_assert_state(r, "busy");
    tpm_fake_freeze(r->fake, false);
    tpm_rig_await_state(r, "ready");
    go(r, 1);
    await_response(r, 1);
    g_assert_null(tpm_rig_migrate(r, "exec:cat >/dev/null"));
    g_assert_null(tpm_rig_migrated(r));
    tpm_rig_stop(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    tpm_front_add("tpm-corner/quit", test_quit);
    tpm_front_add("tpm-corner/looked-at", test_looked_at);
    tpm_front_add("tpm-corner/localities", test_localities);
    return g_test_run();
}
