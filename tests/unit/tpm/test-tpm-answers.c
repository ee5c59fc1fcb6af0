/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * The same questions to the made-up TPM of the tests and to the real one that
 * is installed: both answer what was recorded; and our side of the connection
 * takes each of these answers to its end
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hw/tpm/tpm-link-private.h"
#include "tests/qtest/tpm/tpm-answers.h"
#include "tests/qtest/tpm/tpm-fake.h"
#include "swtpm-rig.h"

#define FAR_MS 60000

static const char *const at_names[TPM_ATS] = {
    "FRESH", "RUNNING", "STOPPED", "GONE", "FULL", "LOCKED", "SPOILED"
};

/* One that is asked */
typedef struct Peer {
    const char *program;    /* swtpm, or NULL: the made-up one */
    bool newer;
    int fd;
    TpmFake *fake;
    Swtpm *real;
    Swtpm *other;           /* has the lock */
} Peer;

static int64_t far(void)
{
    return tpm_io_now() + FAR_MS;
}

static void send_words(int fd, uint32_t cmd, const uint8_t *body, size_t len)
{
    g_autofree uint8_t *msg = g_malloc0(4 + len);

    tpm_wire_put32(msg, cmd);
    if (len) {
        memcpy(msg + 4, body, len);
    }
    g_assert_cmpint(tpm_io_send(fd, msg, 4 + len, -1, far()), ==, TPM_IO_OK);
}

/* A message that is known to have an answer of 4 bytes.  Returns: these */
static uint32_t plain(int fd, uint32_t cmd)
{
    uint8_t answer[4] = { 0 }, zero[4] = { 0 };
    size_t got;

    send_words(fd, cmd, zero, tpm_wire_ctl_request(cmd));
    g_assert_cmpint(tpm_io_recv(fd, answer, 4, &got, far()), ==, TPM_IO_OK);
    return tpm_wire_get32(answer);
}

static void spoil(const char *dir)
{
    g_autofree char *file = g_build_filename(dir, "tpm2-00.permall", NULL);

    g_assert_true(g_file_set_contents(file, "no state at all", -1, NULL));
}

static void start_real(Peer *p, TpmAt at)
{
    g_autofree char *dir = g_dir_make_tmp("tpm-answers.XXXXXX", NULL);

    if (at == TPM_AT_SPOILED) {
        spoil(dir);
    } else if (at == TPM_AT_LOCKED) {
        p->other = swtpm_start(p->program, dir);
        g_assert_cmphex(plain(p->other->fd, TPM_CTL_INIT), ==, 0);
    }
    p->real = swtpm_start(p->program, dir);
    p->fd = p->real->fd;
}

static void start_fake(Peer *p, TpmAt at)
{
    g_autofree char *script = g_strdup_printf(
        "like %s\nstorage %s\n", p->newer ? "0.10" : "0.7",
        at == TPM_AT_LOCKED ? "locked" :
        at == TPM_AT_SPOILED ? "spoiled" : "good");
    char *error = NULL;

    p->fake = tpm_fake_new(script, &error);
    g_assert_cmpstr(error, ==, NULL);
    p->fd = tpm_fake_pair(p->fake);
}

/* What happens to the storage of one that runs */
static void spend_storage(Peer *p, TpmAt at)
{
    if (p->fake) {
        tpm_fake_rule(p->fake, at == TPM_AT_GONE ? "storage gone"
                                                 : "storage full");
    } else if (at == TPM_AT_GONE) {
        swtpm_remove_dir(p->real);
    } else {
        swtpm_fill_disk(p->real);
    }
}

static void start(Peer *p, TpmAt at)
{
    uint32_t result;

    if (p->program) {
        start_real(p, at);
    } else {
        start_fake(p, at);
    }
    if (at == TPM_AT_FRESH) {
        return;
    }
    result = plain(p->fd, TPM_CTL_INIT);
    g_assert_true(!result == (at != TPM_AT_LOCKED && at != TPM_AT_SPOILED));
    if (at == TPM_AT_STOPPED) {
        g_assert_cmphex(plain(p->fd, TPM_CTL_STOP), ==, 0);
    } else if (at == TPM_AT_GONE || at == TPM_AT_FULL) {
        spend_storage(p, at);
    }
}

static void stop(Peer *p)
{
    if (p->fake) {
        tpm_fake_free(p->fake);
        close(p->fd);
    }
    if (p->real) {
        swtpm_stop(p->real);
    }
    if (p->other) {
        swtpm_stop(p->other);
    }
    p->fake = NULL;
    p->real = p->other = NULL;
    p->fd = -1;
}

static GByteArray *from_hex(const char *hex)
{
    GByteArray *a = g_byte_array_new();

    for (; hex[0] && hex[1]; hex += 2) {
        uint8_t byte = g_ascii_xdigit_value(hex[0]) << 4 |
                       g_ascii_xdigit_value(hex[1]);

        g_byte_array_append(a, &byte, 1);
    }
    return a;
}

/* Its answer ends where that to another question begins */
static GByteArray *ask(Peer *p, const TpmAnswer *q)
{
    g_autoptr(GByteArray) body = from_hex(q->body);
    GByteArray *a = g_byte_array_new();
    uint8_t mark[8], zero[1] = { 0 }, bytes[4096];
    bool marked = false;
    size_t got;

    send_words(p->fd, TPM_CTL_GET_CAPABILITY, zero, 0);
    g_assert_cmpint(tpm_io_recv(p->fd, mark, 8, &got, far()), ==, TPM_IO_OK);
    send_words(p->fd, q->cmd, body->data, body->len);
    while (tpm_io_recv_some(p->fd, bytes, sizeof(bytes), &got, far()) ==
           TPM_IO_OK) {
        g_byte_array_append(a, bytes, got);
        if (marked && a->len >= 8 && !memcmp(a->data + a->len - 8, mark, 8)) {
            return g_byte_array_set_size(a, a->len - 8);
        }
        if (!marked) {
            uint8_t number[4] = { 0, 0, 0, TPM_CTL_GET_CAPABILITY };

            /* SHUTDOWN: nobody is there any more */
            marked = true;
            tpm_io_send(p->fd, number, 4, -1, far());
        }
    }
    return a;
}

/* More bytes than were recorded: are they as many as the head tells? */
static bool rest_fits(const TpmAnswer *q, const GByteArray *a)
{
    switch (q->cmd) {
    case TPM_CTL_GET_STATEBLOB:
        return a->len >= 16 &&
               tpm_wire_get32(a->data + 12) == a->len - 16 &&
               tpm_wire_get32(a->data + 8) == a->len - 16;
    case TPM_CTL_GET_CAPABILITY:
        return a->len == 8;
    default:
        return true;
    }
}

static bool as_recorded(const TpmAnswer *q, const char *want,
                        const GByteArray *a)
{
    g_autofree char *hex = tpm_answer_hex(a->data, a->len);
    const char *star = strchr(want, '*');

    return star ? !strncmp(hex, want, star - want) && rest_fits(q, a)
                : !strcmp(hex, want);
}

static void record(const TpmAnswer *q, const GByteArray *a)
{
    g_autofree char *hex = tpm_answer_hex(a->data, MIN(a->len, 16));

    printf("#     { TPM_AT_%s, %u, \"%s\", \"%s%s\" },\n", at_names[q->at],
           q->cmd, q->body, hex, a->len > 16 ? "*" : "");
}

static bool changes_state(uint32_t cmd)
{
    return cmd == TPM_CTL_INIT || cmd == TPM_CTL_SHUTDOWN ||
           cmd == TPM_CTL_STOP || (cmd >= 6 && cmd <= 8) ||
           cmd == TPM_CTL_STORE_VOLATILE;
}

static void check(const Peer *p, const TpmAnswer *q, const GByteArray *a)
{
    const TpmAnswer *r = tpm_answer_find(p->newer, q->at, q->cmd, q->body);
    g_autofree char *hex = tpm_answer_hex(a->data, MIN(a->len, 64));

    if (g_getenv("TPM_ANSWERS_RECORD")) {
        record(q, a);
    } else if (!as_recorded(q, r->answer, a)) {
        g_test_message("%s, message %u '%s': %u bytes %s instead of %s",
                       at_names[q->at], q->cmd, q->body, a->len, hex,
                       r->answer);
        g_test_fail();
    }
}

static void play(Peer *p, TpmAt at)
{
    unsigned n;
    const TpmAnswer *all = tpm_answers(&n);
    bool fresh = false;

    for (unsigned i = 0; i < n; i++) {
        g_autoptr(GByteArray) a = NULL;

        if (all[i].at != at) {
            continue;
        }
        if (!fresh) {
            stop(p);
            start(p, at);
        }
        a = ask(p, &all[i]);
        check(p, &all[i], a);
        fresh = !changes_state(all[i].cmd);
    }
    stop(p);
}

static void test_made_up(gconstpointer newer)
{
    Peer p = { .newer = GPOINTER_TO_INT(newer), .fd = -1 };

    for (TpmAt at = 0; at < TPM_ATS; at++) {
        play(&p, at);
    }
}

static void test_real(void)
{
    g_autofree char *program = swtpm_program();
    g_autofree char *version = program ? swtpm_version(program) : NULL;
    Peer p = { .program = program, .fd = -1 };
    bool older = version && g_str_has_prefix(version, "0.7.");

    if (!version) {
        g_test_skip("swtpm is not installed");
        return;
    }
    p.newer = g_str_has_prefix(version, "0.10.");
    if (!older && !p.newer) {
        g_test_skip("answers are recorded of swtpm 0.7 and 0.10 only");
        return;
    }
    for (TpmAt at = 0; at < TPM_ATS; at++) {
        play(&p, at);
    }
}

/* Our side: each message that it sends, answered in each way */
static void link_asks(Peer *p, const TpmAnswer *q)
{
    g_autoptr(GByteArray) body = from_hex(q->body);
    TpmLink l;
    bool ok;

    tpm_link_init(&l, FAR_MS);
    l.ctrl = dup(p->fd);
    l.data = dup(p->fd);
    l.down = false;
    ok = tpm_link_exchange(&l, q->cmd, body->data, -1, far());
    if (q->cmd == TPM_CTL_GET_STATEBLOB && l.ctrl_owed) {
        ok = tpm_link_skip_body(&l, far());
    }
    if (!l.down && (l.ctrl_owed || !tpm_link_quiet(&l))) {
        g_test_message("%s, message %u '%s': out of step (%s)",
                       at_names[q->at], q->cmd, q->body, l.reason);
        g_test_fail();
    }
    g_assert_true(ok || l.reason[0]);
    tpm_link_close(&l);
}

static void test_link(gconstpointer newer)
{
    unsigned n;
    const TpmAnswer *all = tpm_answers(&n);

    for (unsigned i = 0; i < n; i++) {
        Peer p = { .newer = GPOINTER_TO_INT(newer), .fd = -1 };

        if (strcmp(tpm_wire_ctl_name(all[i].cmd), "?") &&
            all[i].cmd != TPM_CTL_SHUTDOWN &&
            all[i].cmd != TPM_CTL_SET_STATEBLOB) {
            start(&p, all[i].at);
            link_asks(&p, &all[i]);
            stop(&p);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/tpm-answers/made-up/0.7", NULL, test_made_up);
    g_test_add_data_func("/tpm-answers/made-up/0.10", GINT_TO_POINTER(1),
                         test_made_up);
    g_test_add_data_func("/tpm-answers/link/0.7", NULL, test_link);
    g_test_add_data_func("/tpm-answers/link/0.10", GINT_TO_POINTER(1),
                         test_link);
    g_test_add_func("/tpm-answers/real", test_real);
    return g_test_run();
}
