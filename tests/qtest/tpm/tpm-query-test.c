/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What management is told of a TPM: query-tpm, info tpm and query-stats
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "tpm-rig.h"

#define GOOD_BYTES  12
#define BAD_BYTES   10      /* of which the header says 6 */

static void good_command(TpmRig *r)
{
    static const uint8_t startup[GOOD_BYTES] = {
        0x80, 0x01, 0, 0, 0, GOOD_BYTES, 0, 0, 0x01, 0x44, 0, 0,
    };
    uint8_t rsp[4096];

    g_assert_cmpint(tpm_run(r, startup, sizeof(startup), rsp, sizeof(rsp)),
                    ==, 10);
}

static void bad_command(TpmRig *r)
{
    static const uint8_t bad[BAD_BYTES] = {
        0x80, 0x01, 0, 0, 0, 6, 0, 0, 0x01, 0x44,
    };

    tpm_regs_take(r);
    tpm_regs_write(r, bad, sizeof(bad));
    tpm_regs_go(r);
    tpm_regs_wait(r);
    g_assert_cmphex(tpm_error_response(r), ==, 0x142);
}

static uint64_t counter(TpmRig *r, const char *name)
{
    QDict *info = tpm_rig_info(r);
    uint64_t value = qdict_get_int(qdict_get_qdict(info, "counters"), name);

    qobject_unref(info);
    return value;
}

static uint64_t statistic(TpmRig *r, const char *name)
{
    QDict *rsp = qtest_qmp(r->qts, "{ 'execute': 'query-stats', 'arguments': "
                           "{ 'target': 'vm', 'providers': ["
                           "{ 'provider': 'tpm', 'names': [ %s ] } ] } }",
                           name);
    const QListEntry *e = qlist_first(qdict_get_qlist(rsp, "return"));
    QList *stats = qdict_get_qlist(qobject_to(QDict, e->value), "stats");
    QDict *one = qobject_to(QDict, qlist_first(stats)->value);
    uint64_t value = qdict_get_int(one, "value");

    g_assert_cmpint(qlist_size(stats), ==, 1);
    g_assert_cmpstr(qdict_get_str(one, "name"), ==, name);
    qobject_unref(rsp);
    return value;
}

static void assert_both(TpmRig *r, const char *name, uint64_t value)
{
    g_assert_cmpuint(counter(r, name), ==, value);
    g_assert_cmpuint(statistic(r, name), ==, value);
}

static void test_members(const void *opaque)
{
    const TpmFront *front = opaque;
    TpmRig *r = tpm_rig_start(front, &(TpmRigOptions) { });
    QDict *info = tpm_rig_info(r);

    g_assert_cmpstr(qdict_get_str(info, "tpm-version"), ==, "v2-0");
    g_assert_cmpstr(qdict_get_str(info, "state"), ==, "ready");
    g_assert_cmpstr(qdict_get_str(info, "model"), ==,
                    front->kind == TPM_KIND_CRB ? "tpm-crb" : "tpm-tis");
    g_assert_cmpuint(qdict_get_int(info, "buffer-size"), ==, front->limit);
    g_assert_false(qdict_haskey(info, "last-error"));
    g_assert_cmpint(qdict_haskey(info, "ppi"), ==,
                    front->kind != TPM_KIND_I2C);
    qobject_unref(info);
    tpm_rig_stop(r);
}

static void test_counters(const void *opaque)
{
    TpmRig *r = tpm_rig_start(opaque, &(TpmRigOptions) { });
    uint64_t peak;

    assert_both(r, "commands", 0);
    g_assert_cmpuint(counter(r, "latency-mean-ns"), ==, 0);
    good_command(r);
    good_command(r);
    assert_both(r, "commands", 2);
    assert_both(r, "errors", 0);
    assert_both(r, "bytes-in", 2 * GOOD_BYTES);
    assert_both(r, "bytes-out", 2 * 10);
    peak = counter(r, "latency-peak-ns");
    g_assert_cmpuint(peak, >, 0);
    g_assert_cmpuint(statistic(r, "latency-peak-ns"), ==, peak);
    g_assert_cmpuint(counter(r, "latency-mean-ns"), <=, peak);
    bad_command(r);
    assert_both(r, "commands", 3);
    assert_both(r, "errors", 1);
    assert_both(r, "bytes-out", 3 * 10);
    tpm_rig_reset(r);
    assert_both(r, "commands", 3);
    tpm_rig_stop(r);
}

static void test_hmp(const void *opaque)
{
    TpmRig *r = tpm_rig_start(opaque, &(TpmRigOptions) { });
    g_autofree char *text = NULL, *stats = NULL;

    good_command(r);
    text = qtest_hmp(r->qts, "info tpm");
    g_assert_nonnull(strstr(text, "state=ready version=2.0 buffer-size="));
    g_assert_nonnull(strstr(text, "commands=1 errors=0 cancels=0 "));
    g_assert_nonnull(strstr(text, "latency: mean="));
    stats = qtest_hmp(r->qts, "info stats vm");
    g_assert_nonnull(strstr(stats, "provider: tpm"));
    tpm_rig_stop(r);
}

static void test_busy(const void *opaque)
{
    static const uint8_t startup[GOOD_BYTES] = {
        0x80, 0x01, 0, 0, 0, GOOD_BYTES, 0, 0, 0x01, 0x44, 0, 0,
    };
    TpmRig *r = tpm_rig_start(opaque, &(TpmRigOptions) {
        .script = "on data cc 144: wait-cancel\n", .tpmdev = TPM_PATIENT,
    });

    tpm_regs_take(r);
    tpm_regs_write(r, startup, sizeof(startup));
    tpm_regs_go(r);
    tpm_rig_assert_state(r, "busy");
    /* Else it would be cancelled before the TPM has it, which is an error */
    g_assert_true(tpm_fake_wait(r->fake, "data 8001", 2));
    tpm_regs_cancel(r);
    tpm_regs_wait(r);
    tpm_rig_await_state(r, "ready");
    assert_both(r, "cancels", 1);
    g_assert_cmpuint(counter(r, "errors"), ==, 0);
    tpm_rig_stop(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    tpm_front_add("tpm-query/members", test_members);
    tpm_front_add("tpm-query/counters", test_counters);
    tpm_front_add("tpm-query/hmp", test_hmp);
    tpm_front_add("tpm-query/busy", test_busy);
    return g_test_run();
}
