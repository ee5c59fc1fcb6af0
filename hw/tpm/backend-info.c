/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What query-tpm and info tpm tell of a TPM's state
 *
 * Copyright (C) 2026 nearmetal contributors
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-types-tpm.h"
#include "monitor/monitor.h"
#include "qom/object.h"
#include "system/tpm_backend.h"
#include "backend-state.h"

static void fill_version(TPMBackend *tb, TPMInfo *info)
{
    TPMVersion version = tpm_backend_get_tpm_version(tb);

    info->has_tpm_version = version != TPM_VERSION_UNSPEC;
    info->tpm_version = version == TPM_VERSION_1_2 ? TPM_SPEC_VERSION_V1_2
                                                   : TPM_SPEC_VERSION_V2_0;
}

static TpmCounters *counters_new(const TpmTally *tally)
{
    TpmCounters *c = g_new0(TpmCounters, 1);

    c->commands = tally->commands;
    c->errors = tally->errors;
    c->cancels = tally->cancels;
    c->bytes_in = tally->bytes_in;
    c->bytes_out = tally->bytes_out;
    c->latency_mean_ns = tpm_tally_mean_ns(tally);
    c->latency_peak_ns = tally->peak_ns;
    return c;
}

void tpm_backend_fill_info(TPMBackend *tb, TPMInfo *info)
{
    TPMBackendClass *k = TPM_BACKEND_GET_CLASS(tb);
    Object *device = OBJECT(tb->tpmif);

    fill_version(tb, info);
    info->has_state = true;
    info->state = tb->cmd ? TPM_BACKEND_STATE_BUSY : TPM_BACKEND_STATE_READY;
    if (k->get_state) {
        info->state = k->get_state(tb);
    }
    info->has_buffer_size = tb->extra.buffer_size != 0;
    info->buffer_size = tb->extra.buffer_size;
    info->has_ppi = object_property_find(device, "ppi") != NULL;
    info->ppi = info->has_ppi &&
                object_property_get_bool(device, "ppi", &error_abort);
    info->counters = counters_new(&tb->extra.tally);
    info->last_error = g_strdup(tb->extra.last_error);
}

static void show_state(Monitor *mon, const TPMInfo *info)
{
    static const char *const versions[] = { "1.2", "2.0" };

    monitor_printf(mon, "    state=%s", TpmBackendState_str(info->state));
    if (info->has_tpm_version) {
        monitor_printf(mon, " version=%s", versions[info->tpm_version]);
    }
    if (info->has_buffer_size) {
        monitor_printf(mon, " buffer-size=%u", info->buffer_size);
    }
    if (info->has_ppi) {
        monitor_printf(mon, " ppi=%s", info->ppi ? "on" : "off");
    }
    monitor_printf(mon, "\n");
}

void tpm_hmp_show_state(Monitor *mon, const TPMInfo *info)
{
    const TpmCounters *c = info->counters;

    if (!info->has_state || !c) {
        return;
    }
    show_state(mon, info);
    monitor_printf(mon, "    commands=%" PRIu64 " errors=%" PRIu64
                   " cancels=%" PRIu64 " bytes-in=%" PRIu64
                   " bytes-out=%" PRIu64 "\n", c->commands, c->errors,
                   c->cancels, c->bytes_in, c->bytes_out);
    monitor_printf(mon, "    latency: mean=%.3f ms peak=%.3f ms\n",
                   c->latency_mean_ns / 1e6, c->latency_peak_ns / 1e6);
    if (info->last_error) {
        monitor_printf(mon, "    last error: %s\n", info->last_error);
    }
}
