/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Snapshots of a machine with a TPM: its state goes back with the machine's,
 * and without its backend there is none
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "tpm-rig.h"

#define WAIT_US (60 * G_USEC_PER_SEC)
#define PAUSE_US 10000
#define SIZE (512 * 1024 * 1024)

typedef struct Shot {
    TpmRig *r;
    char *file;
    unsigned count;     /* of saves, each with a tag of its own */
} Shot;

/* Returns: the job's state, "" if there is no such job; *@error as it has it */
static char *job_state(TpmRig *r, const char *id, char **error)
{
    QDict *answer = qtest_qmp(r->qts, "{ 'execute': 'query-jobs' }");
    QListEntry *e;
    char *state = NULL;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(answer, "return"), e) {
        QDict *job = qobject_to(QDict, qlist_entry_obj(e));

        if (g_str_equal(qdict_get_str(job, "id"), id)) {
            state = g_strdup(qdict_get_str(job, "status"));
            *error = g_strdup(qdict_get_try_str(job, "error"));
        }
    }
    qobject_unref(answer);
    return state ?: g_strdup("");
}

/* Wait for a job to end.  Returns: NULL, or its error */
static char *job_end(TpmRig *r, const char *id)
{
    int64_t until = g_get_monotonic_time() + WAIT_US;
    char *error = NULL;

    for (;;) {
        g_autofree char *state = job_state(r, id, &error);

        if (g_str_equal(state, "concluded")) {
            break;
        }
        g_clear_pointer(&error, g_free);
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(PAUSE_US);
    }
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'job-dismiss', "
                             "'arguments': { 'id': %s } }", id);
    return error;
}

static void job_ok(TpmRig *r, const char *id)
{
    g_autofree char *error = job_end(r, id);

    g_assert_cmpstr(error, ==, NULL);
}

/* A disk for the state; made by QEMU, so that no tool is needed */
static void add_disk(Shot *s)
{
    QTestState *qts = s->r->qts;

    qtest_qmp_assert_success(qts, "{ 'execute': 'blockdev-create', "
        "'arguments': { 'job-id': 'file', 'options': { 'driver': 'file', "
        "'filename': %s, 'size': 0 } } }", s->file);
    job_ok(s->r, "file");
    qtest_qmp_assert_success(qts, "{ 'execute': 'blockdev-add', "
        "'arguments': { 'driver': 'file', 'node-name': 'file0', "
        "'filename': %s } }", s->file);
    qtest_qmp_assert_success(qts, "{ 'execute': 'blockdev-create', "
        "'arguments': { 'job-id': 'disk', 'options': { 'driver': 'qcow2', "
        "'file': 'file0', 'size': %d } } }", SIZE);
    job_ok(s->r, "disk");
    qtest_qmp_assert_success(qts, "{ 'execute': 'blockdev-add', "
        "'arguments': { 'driver': 'qcow2', 'node-name': 'disk0', "
        "'file': 'file0' } }");
}

static void start(Shot *s, const TpmFront *front, const char *tpmdev)
{
    TpmRigOptions options = { .tpmdev = tpmdev };

    s->count = 0;
    s->r = tpm_rig_start(front, &options);
    s->file = g_build_filename(s->r->dir, "disk", NULL);
    add_disk(s);
    tpm_good_run(s->r);
}

static void stop(Shot *s)
{
    g_unlink(s->file);
    tpm_rig_stop(s->r);
    g_free(s->file);
}

/* @what: snapshot-save, -load or -delete */
static void begin_job(Shot *s, const char *what, const char *id,
                      const char *tag)
{
    bool del = g_str_equal(what, "snapshot-delete");
    QDict *args = qdict_from_jsonf_nofail("{ 'job-id': %s, 'tag': %s, "
                                          "'devices': [ 'disk0' ] }", id, tag);

    if (!del) {
        qdict_put_str(args, "vmstate", "disk0");
    }
    qtest_qmp_assert_success(s->r->qts, "{ 'execute': %s, 'arguments': %p }",
                             what, args);
}

static void begin(Shot *s, const char *what)
{
    g_autofree char *tag = NULL;

    s->count += g_str_equal(what, "snapshot-save");
    tag = g_strdup_printf("now%u", s->count);
    begin_job(s, what, "shot", tag);
}

/* Returns: NULL, or why not */
static char *shoot(Shot *s, const char *what)
{
    begin(s, what);
    return job_end(s->r, "shot");
}

static void shoot_ok(Shot *s, const char *what)
{
    g_autofree char *error = shoot(s, what);

    g_assert_cmpstr(error, ==, NULL);
}

/* What the guest and the TPM have after a load is as it was at the save */
static void test_back(gconstpointer front)
{
    g_autofree char *log = NULL;
    uint8_t rsp[64];
    Shot s;

    start(&s, front, TPM_PATIENT);
    tpm_good_start(s.r);
    tpm_regs_wait(s.r);
    tpm_regs_read(s.r, rsp, 0, 5);
    shoot_ok(&s, "snapshot-save");
    tpm_rig_await_events(s.r, "RESUME", 1);
    /* Read to its end, and others after it */
    tpm_good_run(s.r);
    log = tpm_fake_log(s.r->fake);
    g_assert_null(strstr(log, "SET_STATEBLOB"));
    shoot_ok(&s, "snapshot-load");
    g_assert_true(tpm_fake_wait(s.r->fake, "ctrl SET_STATEBLOB", 2));
    tpm_regs_read(s.r, rsp + 5, 5, tpm_good(s.r)->rsp_len - 5);
    g_assert_cmphex(rsp[0], ==, 0x80);
    g_assert_cmphex(rsp[5], ==, tpm_good(s.r)->rsp_len);
    tpm_good_run(s.r);
    tpm_rig_assert_state(s.r, "ready");
    stop(&s);
}

/* A command runs: it is waited for, and cancelled if it is a long one */
static void test_busy(gconstpointer front)
{
    Shot s;

    start(&s, front, TPM_PATIENT);
    tpm_rig_rule(s.r, "on data cc 17e: wait-cancel");
    tpm_good_start(s.r);
    shoot_ok(&s, "snapshot-save");
    g_assert_true(tpm_regs_done(s.r));
    tpm_good_run(s.r);
    shoot_ok(&s, "snapshot-load");
    g_assert_true(tpm_regs_done(s.r));
    tpm_good_check(s.r);
    /* A load while another one runs */
    tpm_rig_rule(s.r, "on data cc 17e: wait-cancel");
    tpm_good_start_heard(s.r);
    shoot_ok(&s, "snapshot-load");
    g_assert_true(tpm_regs_done(s.r));
    tpm_good_check(s.r);
    tpm_good_run(s.r);
    stop(&s);
}

static void refused(Shot *s, const char *what)
{
    g_autofree char *error = shoot(s, what);

    g_test_message("%s: %s", what, error);
    g_assert_nonnull(error);
}

/* The job has its own misfortune; the TPM is as good as before */
static void good_as_before(Shot *s)
{
    tpm_good_run(s->r);
    tpm_rig_assert_state(s->r, "ready");
    g_assert_cmpuint(tpm_rig_events(s->r, "TPM_BACKEND_ERROR"), ==, 0);
}

/* It takes as long as the timeouts allow, and ends */
static void test_silent(gconstpointer front)
{
    Shot s;

    start(&s, front, TPM_HASTY);
    shoot_ok(&s, "snapshot-save");
    for (int i = 0; i < 2; i++) {
        const char *what = i ? "snapshot-save" : "snapshot-load";

        tpm_fake_freeze(s.r->fake, true);
        refused(&s, what);
        tpm_fake_freeze(s.r->fake, false);
        good_as_before(&s);
        shoot_ok(&s, what);
    }
    stop(&s);
}

/* The machine runs and the monitor answers until the TPM does */
static void frozen(Shot *s, const char *what)
{
    char *error = NULL;

    tpm_fake_freeze(s->r->fake, true);
    begin(s, what);
    for (int i = 0; i < 50; i++) {
        QDict *status = qtest_qmp(s->r->qts, "{ 'execute': 'query-status' }");
        g_autofree char *state = job_state(s->r, "shot", &error);

        g_assert_true(qdict_get_bool(qdict_get_qdict(status, "return"),
                                     "running"));
        g_assert_cmpstr(state, ==, "running");
        qobject_unref(status);
        g_usleep(PAUSE_US);
    }
}

static void test_stalled(gconstpointer front)
{
    Shot s;

    start(&s, front, TPM_PATIENT);
    for (int i = 0; i < 2; i++) {
        g_autofree char *error = NULL;

        frozen(&s, i ? "snapshot-load" : "snapshot-save");
        tpm_fake_freeze(s.r->fake, false);
        error = job_end(s.r, "shot");
        g_assert_cmpstr(error, ==, NULL);
        good_as_before(&s);
    }
    stop(&s);
}

static bool is_corrupt(Shot *s)
{
    QDict *answer = qtest_qmp(s->r->qts,
                              "{ 'execute': 'query-named-block-nodes' }");
    QListEntry *e;
    bool corrupt = true;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(answer, "return"), e) {
        QDict *node = qobject_to(QDict, qlist_entry_obj(e));
        QDict *image = qdict_get_qdict(node, "image");

        if (g_str_equal(qdict_get_str(node, "node-name"), "disk0")) {
            image = qdict_get_qdict(image, "format-specific");
            image = qdict_get_qdict(image, "data");
            corrupt = qdict_get_bool(image, "corrupt");
        }
    }
    qobject_unref(answer);
    return corrupt;
}

/* Jobs given one after the other, as for a rotation of snapshots */
static void test_together(gconstpointer front)
{
    Shot s;

    start(&s, front, TPM_PATIENT);
    shoot_ok(&s, "snapshot-save");
    for (int i = 0; i < 6; i++) {
        g_autofree char *old = g_strdup_printf("now%u", s.count);

        /* Every other time the TPM makes them wait */
        tpm_fake_freeze(s.r->fake, i % 2);
        begin(&s, "snapshot-save");
        begin_job(&s, "snapshot-save", "second", i % 2 ? "odd" : "even");
        begin_job(&s, "snapshot-delete", "third", old);
        g_usleep(30 * PAUSE_US * (i % 2));
        tpm_fake_freeze(s.r->fake, false);
        job_ok(s.r, "shot");
        job_ok(s.r, "second");
        job_ok(s.r, "third");
        begin_job(&s, "snapshot-delete", "third", i % 2 ? "odd" : "even");
        job_ok(s.r, "third");
    }
    shoot_ok(&s, "snapshot-load");
    g_assert_false(is_corrupt(&s));
    good_as_before(&s);
    stop(&s);
}

/* The job ends while the TPM is frozen, and that is as good as before */
static void cancel(Shot *s)
{
    g_autofree char *error = NULL;

    qtest_qmp_assert_success(s->r->qts, "{ 'execute': 'job-cancel', "
                             "'arguments': { 'id': 'shot' } }");
    error = job_end(s->r, "shot");
    g_assert_nonnull(error);
    tpm_fake_freeze(s->r->fake, false);
    good_as_before(s);
}

/* At once, too; and what was cancelled is not done later */
static void test_cancelled_at_once(gconstpointer front)
{
    Shot s;

    start(&s, front, TPM_PATIENT);
    tpm_fake_freeze(s.r->fake, true);
    begin(&s, "snapshot-save");
    cancel(&s);
    refused(&s, "snapshot-load");
    good_as_before(&s);
    stop(&s);
}

/* Nobody has to wait until the timeouts have passed */
static void test_cancelled(gconstpointer front)
{
    Shot s;

    start(&s, front, TPM_PATIENT);
    shoot_ok(&s, "snapshot-save");
    for (int i = 0; i < 2; i++) {
        frozen(&s, i ? "snapshot-load" : "snapshot-save");
        cancel(&s);
    }
    frozen(&s, "snapshot-save");
    /* Nor has who ends QEMU */
    stop(&s);
}

static void job_verb(Shot *s, const char *verb)
{
    qtest_qmp_assert_success(s->r->qts, "{ 'execute': %s, 'arguments': { "
                             "'id': 'shot' } }", verb);
}

/* A job that is paused while it waits does not go on when the TPM does */
static void test_paused(gconstpointer front)
{
    g_autofree char *error = NULL;
    char *none = NULL;
    Shot s;

    start(&s, front, TPM_PATIENT);
    frozen(&s, "snapshot-save");
    job_verb(&s, "job-pause");
    tpm_fake_freeze(s.r->fake, false);
    for (int i = 0; i < 20; i++) {
        g_autofree char *state = job_state(s.r, "shot", &none);

        g_assert_cmpstr(state, ==, "paused");
        g_usleep(PAUSE_US);
    }
    job_verb(&s, "job-resume");
    error = job_end(s.r, "shot");
    g_assert_cmpstr(error, ==, NULL);
    good_as_before(&s);
    stop(&s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    tpm_front_add("tpm-snapshot/back", test_back);
    qtest_add_data_func("tpm-snapshot/busy", tpm_fronts(), test_busy);
    qtest_add_data_func("tpm-snapshot/silent", tpm_fronts(), test_silent);
    qtest_add_data_func("tpm-snapshot/stalled", tpm_fronts(), test_stalled);
    qtest_add_data_func("tpm-snapshot/together", tpm_fronts(), test_together);
    qtest_add_data_func("tpm-snapshot/cancelled", tpm_fronts(),
                        test_cancelled);
    qtest_add_data_func("tpm-snapshot/paused", tpm_fronts(), test_paused);
    qtest_add_data_func("tpm-snapshot/cancelled-at-once", tpm_fronts(),
                        test_cancelled_at_once);
    return g_test_run();
}
