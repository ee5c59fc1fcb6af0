/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A machine with any kind of TPM, whose backend is the scripted tpm-fake.h
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include <glib/gstdio.h>
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "tpm-rig.h"

#define WAIT_US (60 * G_USEC_PER_SEC)
#define PAUSE_US 10000

static const TpmFront x86_fronts[] = {
    { "tpm-tis", "-machine q35 -m 64M", "", TPM_KIND_TIS, 0xfed40000, 4096,
      .old = true },
    { "tpm-crb", "-machine q35 -m 64M", "", TPM_KIND_CRB, 0xfed40000, 0xf80 },
};

static const TpmFront arm_fronts[] = {
    { "tpm-tis-device", "-machine virt -cpu max -m 64M", "", TPM_KIND_TIS,
      0xc000000, 4096, .old = true },
    { "tpm-crb-device", "-machine virt -cpu max -m 64M", "", TPM_KIND_CRB,
      0xc000000, 0xf80, .ours = true },
    { "tpm-tis-i2c", "-machine ast2600-evb -m 256M",
      ",bus=aspeed.i2c.bus.10,address=0x2e", TPM_KIND_I2C, 0x1e78a580, 4096 },
};

const TpmFront *tpm_fronts(void)
{
    bool arm = g_str_equal(qtest_get_arch(), "aarch64");
    const TpmFront *all = arm ? arm_fronts : x86_fronts;
    unsigned n = arm ? G_N_ELEMENTS(arm_fronts) : G_N_ELEMENTS(x86_fronts);
    static TpmFront have[8];
    unsigned count = 0;

    if (!have[0].device) {
        for (unsigned i = 0; i < n; i++) {
            if (qtest_has_device(all[i].device)) {
                have[count++] = all[i];
            }
        }
    }
    return have;
}

void tpm_front_add(const char *path, GTestDataFunc fn)
{
    for (const TpmFront *f = tpm_fronts(); f->device; f++) {
        g_autofree char *name = g_strdup_printf("%s/%s", path, f->device);

        qtest_add_data_func(name, f, fn);
    }
}

static bool take_event(QTestState *qts, const char *name, QDict *event,
                       void *opaque)
{
    TpmRig *r = opaque;

    g_ptr_array_add(r->events, qobject_ref(event));
    return true;
}

static void event_free(gpointer event)
{
    qobject_unref((QDict *)event);
}

void tpm_rig_new_fake(TpmRig *r, const char *script)
{
    char *error = NULL;

    tpm_rig_kill_fake(r);
    r->fake = tpm_fake_new(script ?: "", &error);
    g_assert_cmpstr(error, ==, NULL);
    g_assert_true(tpm_fake_listen(r->fake, r->path));
}

void tpm_rig_kill_fake(TpmRig *r)
{
    if (r->fake) {
        tpm_fake_free(r->fake);
        r->fake = NULL;
    }
}

TpmRig *tpm_rig_start(const TpmFront *front, const TpmRigOptions *o)
{
    TpmRig *r = g_new0(TpmRig, 1);
    g_autofree char *args = NULL, *qmp = NULL;

    r->front = front;
    r->dir = g_dir_make_tmp("tpm-rig.XXXXXX", NULL);
    g_assert_nonnull(r->dir);
    r->path = g_build_filename(r->dir, "tpm", NULL);
    qmp = g_build_filename(r->dir, "qmp", NULL);
    r->events = g_ptr_array_new_with_free_func(event_free);
    tpm_rig_new_fake(r, o->script);
    args = g_strdup_printf("%s -nodefaults -qmp unix:%s,server=on,wait=off "
                           "-chardev socket,id=chr,path=%s%s "
                           "-tpmdev emulator,id=tpm0,chardev=chr%s "
                           "-device %s,tpmdev=tpm0%s %s",
                           front->machine, qmp, r->path, o->chardev ?: "",
                           o->tpmdev ?: "", front->device, front->options,
                           o->args ?: "");
    r->qts = qtest_init_ext(o->var, args, NULL, true);
    qtest_qmp_set_event_callback(r->qts, take_event, r);
    if (!o->mute) {
        r->ask = tpm_ask_start(qmp);
    }
    return r;
}

void tpm_rig_stop(TpmRig *r)
{
    g_autofree char *qmp = g_build_filename(r->dir, "qmp", NULL);

    if (r->ask) {
        tpm_ask_stop(r->ask);
    }
    qtest_quit(r->qts);
    tpm_rig_kill_fake(r);
    g_ptr_array_unref(r->events);
    g_unlink(qmp);
    g_assert_cmpint(g_rmdir(r->dir), ==, 0);
    g_free(r->path);
    g_free(r->dir);
    g_free(r);
}

void tpm_rig_rule(TpmRig *r, const char *fmt, ...)
{
    g_autofree char *rule = NULL;
    va_list ap;

    va_start(ap, fmt);
    rule = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_assert_cmpstr(tpm_fake_rule(r->fake, rule), ==, NULL);
}

unsigned tpm_rig_reached(TpmRig *r)
{
    g_autofree char *log = tpm_fake_log(r->fake);
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);
    unsigned n = 0;

    for (char **line = lines; *line; line++) {
        n += g_str_has_prefix(*line, "partial ") ||
             (g_str_has_prefix(*line, "data ") &&
              !g_str_equal(*line, "data closed"));
    }
    return n;
}

QDict *tpm_rig_info(TpmRig *r)
{
    QDict *answer = qtest_qmp(r->qts, "{ 'execute': 'query-tpm' }");
    QDict *info;

    g_assert_true(qdict_haskey(answer, "return"));
    info = qobject_to(QDict, qlist_peek(qdict_get_qlist(answer, "return")));
    g_assert_nonnull(info);
    qobject_ref(info);
    qobject_unref(answer);
    return info;
}

static bool state_is(TpmRig *r, const char *state)
{
    QDict *info = tpm_rig_info(r);
    bool is = g_strcmp0(qdict_get_try_str(info, "state"), state) == 0;

    g_assert_true(qdict_haskey(info, "state"));
    qobject_unref(info);
    return is;
}

void tpm_rig_assert_state(TpmRig *r, const char *state)
{
    g_assert_true(state_is(r, state));
}

void tpm_rig_await_state(TpmRig *r, const char *state)
{
    int64_t until = g_get_monotonic_time() + WAIT_US;

    while (!state_is(r, state)) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(PAUSE_US);
    }
}

unsigned tpm_rig_events(TpmRig *r, const char *name)
{
    unsigned n = 0;

    for (unsigned i = 0; i < r->events->len; i++) {
        n += g_str_equal(qdict_get_str(r->events->pdata[i], "event"), name);
    }
    return n;
}

QDict *tpm_rig_await_events(TpmRig *r, const char *name, unsigned n)
{
    int64_t until = g_get_monotonic_time() + WAIT_US;
    unsigned i = r->events->len;

    while (tpm_rig_events(r, name) < n) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        qtest_qmp_assert_success(r->qts, "{ 'execute': 'query-status' }");
        g_usleep(PAUSE_US);
    }
    i = r->events->len;
    while (!g_str_equal(qdict_get_str(r->events->pdata[i - 1], "event"),
                        name)) {
        i--;
    }
    return qdict_get_qdict(r->events->pdata[i - 1], "data");
}

void tpm_rig_await_loss(TpmRig *r, unsigned n)
{
    QDict *data = tpm_rig_await_events(r, "TPM_BACKEND_ERROR", n);
    QDict *info;

    g_assert_cmpstr(qdict_get_str(data, "id"), ==, "tpm0");
    g_assert_cmpstr(qdict_get_str(data, "error"), !=, "");
    g_assert_cmpuint(tpm_rig_events(r, "TPM_BACKEND_ERROR"), ==, n);
    info = tpm_rig_info(r);
    g_assert_cmpstr(qdict_get_str(info, "state"), ==, "lost");
    g_assert_cmpstr(qdict_get_str(info, "last-error"), !=, "");
    qobject_unref(info);
}

void tpm_rig_reset(TpmRig *r)
{
    unsigned n = tpm_rig_events(r, "RESET");

    qtest_qmp_assert_success(r->qts, "{ 'execute': 'system_reset' }");
    tpm_rig_await_events(r, "RESET", n + 1);
}

static char *error_of(QDict *answer)
{
    QDict *error = qdict_get_qdict(answer, "error");

    return error ? g_strdup(qdict_get_str(error, "desc")) : NULL;
}

char *tpm_rig_migrate(TpmRig *r, const char *uri)
{
    QDict *answer = qtest_qmp(r->qts, "{ 'execute': 'migrate', 'arguments': "
                              "{ 'uri': %s } }", uri);
    char *error = error_of(answer);

    qobject_unref(answer);
    return error;
}

/* Returns: whether it has ended, in *@how then */
static bool migration_ended(TpmRig *r, char **how)
{
    QDict *answer = qtest_qmp(r->qts, "{ 'execute': 'query-migrate' }");
    QDict *info = qdict_get_qdict(answer, "return");
    const char *status = qdict_get_try_str(info, "status");
    bool completed = g_strcmp0(status, "completed") == 0;
    bool failed = g_strcmp0(status, "failed") == 0 ||
                  g_strcmp0(status, "cancelled") == 0;

    *how = failed ? g_strdup(qdict_get_try_str(info, "error-desc") ?: status)
                  : NULL;
    qobject_unref(answer);
    return completed || failed;
}

char *tpm_rig_migrated(TpmRig *r)
{
    int64_t until = g_get_monotonic_time() + WAIT_US;
    char *how;

    while (!migration_ended(r, &how)) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(PAUSE_US);
    }
    return how;
}
