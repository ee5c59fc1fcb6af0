/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backend tpm-emulator: a TPM in another process (swtpm)
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * It replaces QEMU's own.  What the guest and management see is the same, but
 * that nothing here waits for the other process while it holds the BQL: a
 * thread does, and reports.  See emulator-worker.h.
 */
#include "qemu/osdep.h"
#include "hw/nearmetal/compat.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qemu/option.h"
#include "qapi/clone-visitor.h"
#include "qapi/error.h"
#include "qapi/qapi-events-tpm-state.h"
#include "qapi/qapi-visit-tpm.h"
#include "backends/tpm/tpm_int.h"
#include "backends/tpm/tpm_ioctl.h"
#include "system/tpm_util.h"
#include "trace/trace-backends_tpm.h"
#include "emulator.h"

/* Longer than firmware waits for a command, and than storage usually stalls */
#define START_TIMEOUT_MS    120000
#define CONTROL_TIMEOUT_MS  120000
#define TIMEOUT_MAX_MS      3600000

/* The link has numbers of its own so that it builds without QEMU */
#define SAME_NUMBER(a, b)   QEMU_BUILD_BUG_ON((int)(a) != (int)(b))
SAME_NUMBER(TPM_CTL_GET_CAPABILITY, CMD_GET_CAPABILITY);
SAME_NUMBER(TPM_CTL_INIT, CMD_INIT);
SAME_NUMBER(TPM_CTL_SHUTDOWN, CMD_SHUTDOWN);
SAME_NUMBER(TPM_CTL_GET_ESTABLISHED, CMD_GET_TPMESTABLISHED);
SAME_NUMBER(TPM_CTL_SET_LOCALITY, CMD_SET_LOCALITY);
SAME_NUMBER(TPM_CTL_CANCEL, CMD_CANCEL_TPM_CMD);
SAME_NUMBER(TPM_CTL_RESET_ESTABLISHED, CMD_RESET_TPMESTABLISHED);
SAME_NUMBER(TPM_CTL_GET_STATEBLOB, CMD_GET_STATEBLOB);
SAME_NUMBER(TPM_CTL_SET_STATEBLOB, CMD_SET_STATEBLOB);
SAME_NUMBER(TPM_CTL_STOP, CMD_STOP);
SAME_NUMBER(TPM_CTL_SET_DATAFD, CMD_SET_DATAFD);
SAME_NUMBER(TPM_CTL_SET_BUFFERSIZE, CMD_SET_BUFFERSIZE);
SAME_NUMBER(TPM_CTL_LOCK_STORAGE, CMD_LOCK_STORAGE);
SAME_NUMBER(TPM_WIRE_2_0, TPM_VERSION_2_0);

static void emulator_command_done(TPMEmulator *e, TpmJob *job)
{
    TPMBackend *tb = TPM_BACKEND(e);
    TPMBackendCmd *cmd = tb->cmd;

    if (job->ok) {
        memcpy(cmd->out, job->out, job->out_len);
        cmd->selftest_done = tpm_util_is_selftest(job->in, job->in_len) &&
                             tpm_cmd_get_errcode(cmd->out) == 0;
    } else {
        TpmWireVersion v = (TpmWireVersion)e->version;

        tpm_backend_error_response(tb, cmd, tpm_wire_code(v, job->fault));
    }
    tpm_job_unref(e->current);
    e->current = NULL;
    tpm_backend_request_completed(tb, 0);
}

static void emulator_recovered(TPMEmulator *e)
{
    tpm_backend_set_error(TPM_BACKEND(e), NULL);
    tpm_emulator_block(e, NULL);
    tpm_backend_established_changed(TPM_BACKEND(e));
}

/* It may have been lost again before this is told */
static void emulator_start_done(TPMEmulator *e, TpmJob *job)
{
    Error *err = NULL;
    TpmWorkerInfo info;

    tpm_worker_info(e->worker, &info);
    if (job->ok && !info.lost) {
        e->caps = info.caps;
        if (!tpm_emulator_check_migratable(e, &err)) {
            warn_report_err(err);
        }
        emulator_recovered(e);
    } else if (info.lost && !job->ok && !job->skipped) {
        tpm_backend_set_error(TPM_BACKEND(e), job->error);
    }
}

static void emulator_job_done(void *opaque, TpmJob *job)
{
    TPMEmulator *e = opaque;

    switch (job->kind) {
    case TPM_JOB_COMMAND:
        /* After a reset nobody wants its response any more */
        if (job == e->current) {
            emulator_command_done(e, job);
        }
        break;
    case TPM_JOB_START:
        emulator_start_done(e, job);
        break;
    case TPM_JOB_SAVE:
        /* Even if nobody waits any more, or it failed: a late answer unlocks */
        if (!job->skipped) {
            tpm_emulator_saved(e);
        }
        break;
    case TPM_JOB_RESET_ESTABLISHED:
    case TPM_JOB_RESTORE:
        tpm_backend_established_changed(TPM_BACKEND(e));
        /* fall through */
    case TPM_JOB_LOCK_STORAGE:
        if (!job->ok && job->kind != TPM_JOB_RESTORE) {
            error_report("tpm-emulator: %s", job->error);
        }
        break;
    default:
        break;
    }
}

static void emulator_lost(void *opaque, const char *reason)
{
    TPMEmulator *e = opaque;
    TPMBackend *tb = TPM_BACKEND(e);

    tpm_backend_set_error(tb, reason);
    error_report("tpm-emulator: TPM '%s' is lost: %s", tb->id, reason);
    qapi_event_send_tpm_backend_error(tb->id, reason);
    tpm_emulator_block(e, reason);
}

static void emulator_back(void *opaque)
{
    TPMEmulator *e = opaque;

    warn_report("tpm-emulator: TPM '%s' has answered late and is back",
                TPM_BACKEND(e)->id);
    emulator_recovered(e);
}

static void emulator_disconnect(void *opaque)
{
    TPMEmulator *e = opaque;

    qemu_chr_fe_disconnect(&e->chr);
}

static void tpm_emulator_submit(TPMBackend *tb, TPMBackendCmd *cmd)
{
    TPMEmulator *e = TPM_EMULATOR(tb);
    TpmJob *job = tpm_job_new(TPM_JOB_COMMAND);

    trace_tpm_emulator_handle_request();
    job->locty = cmd->locty;
    job->in = g_memdup2(cmd->in, cmd->in_len);
    job->in_len = cmd->in_len;
    job->out = g_malloc(cmd->out_len);
    job->out_max = cmd->out_len;
    e->current = job;
    e->saved = false;
    tpm_worker_submit(e->worker, job);
}

/* Queue something whose result is only reported */
static void emulator_submit_only(TPMEmulator *e, TpmJob *job)
{
    tpm_worker_submit(e->worker, job);
    tpm_job_unref(job);
}

static void tpm_emulator_cancel_cmd(TPMBackend *tb)
{
    TPMEmulator *e = TPM_EMULATOR(tb);

    if (e->current) {
        tpm_tally_cancel(&tb->extra.tally);
        tpm_worker_request(e->worker, e->current, TPM_REQ_CANCEL);
    }
}

static void tpm_emulator_reset(TPMBackend *tb)
{
    TPMEmulator *e = TPM_EMULATOR(tb);

    if (e->current) {
        tpm_worker_request(e->worker, e->current,
                           TPM_REQ_CANCEL | TPM_REQ_DRAIN);
        tpm_job_unref(e->current);
        e->current = NULL;
    }
    tpm_backend_abandon(tb);
    tpm_worker_flush(e->worker);
    e->saved = false;
    e->generation++;
}

/* With the machine's first reset, errors end QEMU; later ones lose the TPM */
static int tpm_emulator_startup_tpm(TPMBackend *tb, size_t buffersize)
{
    TPMEmulator *e = TPM_EMULATOR(tb);
    TpmJob *job = tpm_job_new(TPM_JOB_START);
    bool ok = true;

    job->buffer_size = buffersize;
    /* Its state comes with the migration, and is started by post_load */
    job->init = !runstate_check(RUN_STATE_INMIGRATE);
    trace_tpm_emulator_startup_tpm_resume(!job->init, buffersize);
    e->saved = false;
    tpm_worker_submit(e->worker, job);
    if (!e->started) {
        e->started = true;
        tpm_worker_wait(e->worker, job, TPM_IO_NEVER);
        ok = job->ok;
        if (!ok) {
            error_report("tpm-emulator: %s", job->error);
        }
    }
    tpm_job_unref(job);
    return ok ? 0 : -1;
}

static bool tpm_emulator_get_established(TPMBackend *tb)
{
    return tpm_worker_established(TPM_EMULATOR(tb)->worker);
}

static int tpm_emulator_reset_established(TPMBackend *tb, uint8_t locty)
{
    TPMEmulator *e = TPM_EMULATOR(tb);
    TpmJob *job;

    /* only a TPM 2.0 will support this */
    if (e->version == TPM_VERSION_2_0) {
        job = tpm_job_new(TPM_JOB_RESET_ESTABLISHED);
        job->locty = locty;
        emulator_submit_only(e, job);
    }
    return 0;
}

static TPMVersion tpm_emulator_get_version(TPMBackend *tb)
{
    return TPM_EMULATOR(tb)->version;
}

static size_t tpm_emulator_get_buffer_size(TPMBackend *tb)
{
    TpmWorkerInfo info;

    tpm_worker_info(TPM_EMULATOR(tb)->worker, &info);
    return info.buffer_size;
}

static int tpm_emulator_get_state(TPMBackend *tb)
{
    TpmWorkerInfo info;

    tpm_worker_info(TPM_EMULATOR(tb)->worker, &info);
    return info.lost ? TPM_BACKEND_STATE_LOST :
           info.busy || tb->cmd ? TPM_BACKEND_STATE_BUSY
                                : TPM_BACKEND_STATE_READY;
}

/* QEMU ends: is somebody in another thread waiting for it? */
static bool tpm_emulator_in_wait(TPMBackend *tb)
{
    return TPM_EMULATOR(tb)->waiting;
}

static bool emulator_get_timeout(QemuOpts *opts, const char *name, bool *has,
                                 uint32_t *value, Error **errp)
{
    uint64_t ms = qemu_opt_get_number(opts, name, 0);

    *has = qemu_opt_get(opts, name);
    if (*has && (ms < 1 || ms > TIMEOUT_MAX_MS)) {
        error_setg(errp, "property '%s' is %" PRIu64 ", but must be within "
                   "1..%d ms", name, ms, TIMEOUT_MAX_MS);
        return false;
    }
    *value = ms;
    return true;
}

static bool emulator_get_options(TPMEmulator *e, QemuOpts *opts, Error **errp)
{
    TPMEmulatorOptions *o = e->options;

    o->chardev = g_strdup(qemu_opt_get(opts, "chardev"));
    if (!o->chardev) {
        error_setg(errp, "parameter 'chardev' is missing");
        return false;
    }
    if (!emulator_get_timeout(opts, "start-timeout", &o->has_start_timeout,
                              &o->start_timeout, errp) ||
        !emulator_get_timeout(opts, "control-timeout",
                              &o->has_control_timeout, &o->control_timeout,
                              errp)) {
        return false;
    }
    e->start_ms = o->has_start_timeout ? o->start_timeout : START_TIMEOUT_MS;
    e->control_ms = o->has_control_timeout ? o->control_timeout
                                           : CONTROL_TIMEOUT_MS;
    return true;
}

static bool emulator_probe(TPMEmulator *e, int64_t deadline, Error **errp)
{
    TpmJob *job = tpm_job_new(TPM_JOB_PROBE);
    TpmWorkerInfo info;
    bool ok;

    job->deadline = deadline;
    tpm_emulator_use_connection(e);
    tpm_worker_submit(e->worker, job);
    tpm_worker_wait(e->worker, job, TPM_IO_NEVER);
    ok = job->ok;
    if (!ok) {
        error_setg(errp, "'%s' is not emulating TPM device. Error: %s",
                   e->options->chardev, job->error);
    }
    tpm_job_unref(job);
    tpm_worker_info(e->worker, &info);
    e->version = (TPMVersion)info.version;
    e->caps = info.caps;
    trace_tpm_emulator_probe_caps(e->caps);
    return ok;
}

static bool emulator_setup(TPMEmulator *e, QemuOpts *opts, Error **errp)
{
    TpmWorkerOps ops = {
        .done = emulator_job_done,
        .lost = emulator_lost,
        .back = emulator_back,
        .disconnect = emulator_disconnect,
        .opaque = e,
    };
    g_autofree char *name = g_strdup_printf("tpm/%s", qemu_opts_id(opts));
    int64_t deadline;

    if (!emulator_get_options(e, opts, errp)) {
        return false;
    }
    deadline = tpm_io_now() + e->start_ms;
    if (!tpm_emulator_open(e, deadline, errp)) {
        return false;
    }
    e->worker = tpm_worker_new(name, e->start_ms, e->control_ms,
                               tpm_emulator_reconnects(e), &ops, errp);
    if (!e->worker || !emulator_probe(e, deadline, errp) ||
        !tpm_emulator_check_migratable(e, errp)) {
        return false;
    }
    tpm_emulator_migration_begin(e);
    return true;
}

static TPMBackend *tpm_emulator_create(QemuOpts *opts)
{
    TPMEmulator *e = TPM_EMULATOR(object_new(TYPE_TPM_EMULATOR));
    Error *err = NULL;

    if (!emulator_setup(e, opts, &err)) {
        trace_tpm_emulator_handle_device_opts_startup_error();
        error_prepend(&err, "tpm-emulator: ");
        error_report_err(err);
        object_unref(OBJECT(e));
        return NULL;
    }
    return TPM_BACKEND(e);
}

static TpmTypeOptions *tpm_emulator_get_options(TPMBackend *tb)
{
    TPMEmulator *e = TPM_EMULATOR(tb);
    TpmTypeOptions *options = g_new0(TpmTypeOptions, 1);

    options->type = TPM_TYPE_EMULATOR;
    options->u.emulator.data = QAPI_CLONE(TPMEmulatorOptions, e->options);
    return options;
}

static const QemuOptDesc tpm_emulator_opts[] = {
    TPM_STANDARD_CMDLINE_OPTS,
    {
        .name = "chardev",
        .type = QEMU_OPT_STRING,
        .help = "Character device to use for out-of-band control messages",
    },
    {
        .name = "start-timeout",
        .type = QEMU_OPT_NUMBER,
        .help = "ms until a start of the TPM has failed (default 120000)",
    },
    {
        .name = "control-timeout",
        .type = QEMU_OPT_NUMBER,
        .help = "ms until a silent control channel is lost (default 120000)",
    },
    { /* end of list */ },
};

static void tpm_emulator_init(Object *obj)
{
    TPMEmulator *e = TPM_EMULATOR(obj);

    trace_tpm_emulator_inst_init();
    e->options = g_new0(TPMEmulatorOptions, 1);
    tpm_emulator_migration_init(e);
}

static void tpm_emulator_finalize(Object *obj)
{
    TPMEmulator *e = TPM_EMULATOR(obj);

    tpm_emulator_migration_finalize(e);
    tpm_emulator_close(e);
    if (e->worker) {
        tpm_worker_free(e->worker);
    }
    qapi_free_TPMEmulatorOptions(e->options);
    g_free(e->refused);
}

static void tpm_emulator_class_init(ObjectClass *klass, ClassInitData *data)
{
    TPMBackendClass *tbc = TPM_BACKEND_CLASS(klass);

    tbc->type = TPM_TYPE_EMULATOR;
    tbc->opts = tpm_emulator_opts;
    tbc->desc = "TPM emulator backend driver";
    tbc->create = tpm_emulator_create;
    tbc->startup_tpm = tpm_emulator_startup_tpm;
    tbc->reset = tpm_emulator_reset;
    tbc->cancel_cmd = tpm_emulator_cancel_cmd;
    tbc->get_tpm_established_flag = tpm_emulator_get_established;
    tbc->reset_tpm_established_flag = tpm_emulator_reset_established;
    tbc->get_tpm_version = tpm_emulator_get_version;
    tbc->get_buffer_size = tpm_emulator_get_buffer_size;
    tbc->get_tpm_options = tpm_emulator_get_options;
    tbc->submit = tpm_emulator_submit;
    tbc->finish = tpm_emulator_finish;
    tbc->get_state = tpm_emulator_get_state;
    tbc->in_wait = tpm_emulator_in_wait;
}

static const TypeInfo tpm_emulator_info = {
    .name = TYPE_TPM_EMULATOR,
    .parent = TYPE_TPM_BACKEND,
    .instance_size = sizeof(TPMEmulator),
    .class_init = tpm_emulator_class_init,
    .instance_init = tpm_emulator_init,
    .instance_finalize = tpm_emulator_finalize,
};

static void tpm_emulator_register(void)
{
    type_register_static(&tpm_emulator_info);
}

type_init(tpm_emulator_register)
