/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A connection to a swtpm that misbehaves as it is told
 */
#include <string.h>
#include <unistd.h>
#include "tpm-link-rig.h"

static const uint8_t pcr_read[20] = {
    0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 0x0b, 3, 1, 0, 0
};

static unsigned requests(void *opaque)
{
    Rig *r = opaque;
    bool answered = r->l.ctrl_cmd == TPM_CTL_CANCEL && !r->l.ctrl_owed;

    if (r->mood == HURRY || (r->mood == HURRY_ANSWERED && answered)) {
        r->l.ctl_ms = SHORT;
    }
    return g_atomic_int_get((gint *)&r->requests);
}

Rig *rig_new(const char *script)
{
    Rig *r = g_new0(Rig, 1);
    char *error = NULL;

    r->fake = tpm_fake_new(script, &error);
    g_assert_cmpstr(error, ==, NULL);
    g_assert_cmpint(pipe(r->wake), ==, 0);
    r->ops = (TpmLinkOps) { requests, r->wake[0], r };
    tpm_link_init(&r->l, FAR);
    return r;
}

Rig *rig_probed(const char *script)
{
    Rig *r = rig_new(script);

    if (!tpm_link_probe(&r->l, tpm_fake_pair(r->fake), in_ms(FAR))) {
        g_error("%s", r->l.reason);
    }
    return r;
}

Rig *rig_started(const char *script)
{
    Rig *r = rig_probed(script);
    uint32_t size = 3968;
    bool est = true;

    if (!tpm_link_start(&r->l, &size, true, 0, &est, in_ms(FAR))) {
        g_error("%s", r->l.reason);
    }
    g_assert_cmpint(size, ==, 3968);
    g_assert_false(est);
    return r;
}

void rig_free(Rig *r)
{
    tpm_link_close(&r->l);
    tpm_fake_free(r->fake);
    close(r->wake[0]);
    close(r->wake[1]);
    g_free(r);
}

TpmCmdResult rig_command_at(Rig *r, uint8_t locality)
{
    return tpm_link_command(&r->l, locality, pcr_read, sizeof(pcr_read),
                            r->out, sizeof(r->out), &r->out_len, &r->ops);
}

TpmCmdResult rig_command(Rig *r)
{
    return rig_command_at(r, 0);
}

void rig_assert_works(Rig *r)
{
    r->requests = 0;
    g_assert_cmpint(rig_command(r), ==, TPM_CMD_DONE);
    g_assert_cmpint(r->out_len, ==, 62);
    g_assert_cmpint(tpm_wire_get32(r->out + 2), ==, 62);
    g_assert_cmpint(tpm_wire_get32(r->out + 6), ==, 0);
    g_assert_true(tpm_link_in_step(&r->l));
}

void rig_assert_reason(Rig *r, const char *part)
{
    if (!strstr(r->l.reason, part)) {
        g_error("'%s' instead of '%s'", r->l.reason, part);
    }
}

void rig_assert_log(Rig *r, const char *part, bool there)
{
    g_autofree char *log = tpm_fake_log(r->fake);

    if (!!strstr(log, part) != there) {
        g_error("'%s' is %s in:\n%s", part, there ? "not" : "", log);
    }
}
