/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The made-up swtpm's rules
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#ifdef NATIVE_UNIT_TEST
#include <string.h>
#else
#include "qemu/osdep.h"
#endif
#include "tpm-fake-script.h"

#define RUBBISH 0xa5

typedef struct Words {
    char **w;
    const char *error;
} Words;

static const char *word(Words *w)
{
    while (*w->w && !**w->w) {
        w->w++;
    }
    return *w->w;
}

static bool take(Words *w, const char *s)
{
    const char *next = word(w);

    if (!next || strcmp(next, s)) {
        return false;
    }
    w->w++;
    return true;
}

static uint64_t number(Words *w, int base)
{
    const char *next = word(w);
    char *end = NULL;
    uint64_t n = next ? g_ascii_strtoull(next, &end, base) : 0;

    if (!next || !*next || *end) {
        w->error = "a number is missing";
        return 0;
    }
    w->w++;
    return n;
}

static GByteArray *hex(Words *w)
{
    GByteArray *a = g_byte_array_new();
    const char *p = word(w);

    if (!p || strlen(p) % 2) {
        w->error = "hexadecimal bytes are missing";
        return a;
    }
    for (; *p; p += 2) {
        int high = g_ascii_xdigit_value(p[0]), low = g_ascii_xdigit_value(p[1]);
        uint8_t byte = high << 4 | low;

        if (high < 0 || low < 0) {
            w->error = "not hexadecimal";
            return a;
        }
        g_byte_array_append(a, &byte, 1);
    }
    w->w++;
    return a;
}

static void set_reply(FakeRule *r, GByteArray *reply)
{
    if (r->reply) {
        g_byte_array_unref(r->reply);
    }
    r->reply = reply;
}

static void parse_result(Words *w, FakeRule *r)
{
    uint8_t result[4];

    tpm_wire_put32(result, number(w, 16));
    set_reply(r, g_byte_array_append(g_byte_array_new(), result, 4));
    if (r->on == FAKE_ON_CTRL && r->what == TPM_CTL_GET_STATEBLOB &&
        tpm_wire_get32(result) != TPM_CTL_RES_BAD_ORDINAL) {
        /* Its head is whole with each of the others */
        g_byte_array_set_size(r->reply, 16);
        memset(r->reply->data + 4, 0, 12);
    }
}

static bool parse_flag(Words *w, FakeRule *r)
{
    return (take(w, "accept")) ||
           (take(w, "refuse") && (r->refuse = true)) ||
           (take(w, "silent") && (r->silent = true)) ||
           (take(w, "close") && (r->close = true)) ||
           (take(w, "serial") && (r->serial = true)) ||
           (take(w, "data") && (r->to_data = true)) ||
           (take(w, "wait-cancel") && (r->wait_cancel = true));
}

static void parse_action(Words *w, FakeRule *r)
{
    if (parse_flag(w, r)) {
        return;
    }
    if (take(w, "delay")) {
        r->delay_ms = number(w, 10);
    } else if (take(w, "short")) {
        r->cut = true;
        r->cut_to = number(w, 10);
    } else if (take(w, "rubbish")) {
        r->rubbish = number(w, 10);
    } else if (take(w, "extra")) {
        r->extra = number(w, 10);
    } else if (take(w, "oversize")) {
        r->oversize = number(w, 10);
    } else if (take(w, "echo-size")) {
        r->has_size = true;
        r->size = number(w, 10);
    } else if (take(w, "reply") || take(w, "bytes")) {
        set_reply(r, hex(w));
    } else if (take(w, "result")) {
        parse_result(w, r);
    } else {
        w->error = "not an action";
    }
}

static uint32_t ctl_number(Words *w)
{
    const char *name = word(w);

    if (name && strcmp(name, "any")) {
        for (uint32_t n = 1; n <= TPM_CTL_MAX; n++) {
            if (!strcmp(tpm_wire_ctl_name(n), name)) {
                w->w++;
                return n;
            }
        }
        w->error = "not a control message";
        return 0;
    }
    take(w, "any");
    return 0;
}

static void parse_rule(Words *w, FakeRule *r)
{
    if (take(w, "connect")) {
        r->on = FAKE_ON_CONNECT;
    } else if (take(w, "ctrl")) {
        r->on = FAKE_ON_CTRL;
        r->what = ctl_number(w);
    } else if (take(w, "data")) {
        r->on = FAKE_ON_DATA;
        r->what = take(w, "cc") ? number(w, 16) : 0;
    } else if (take(w, "idle")) {
        r->on = FAKE_ON_IDLE;
        r->idle_ms = number(w, 10);
    } else {
        w->error = "not connect, ctrl, data or idle";
    }
    if (take(w, "*")) {
        r->every = true;
    } else if (word(w) && *word(w) == '#') {
        r->nth = g_ascii_strtoull(word(w) + 1, NULL, 10);
        w->error = r->nth ? w->error : "#N counts from 1";
        w->w++;
    }
    if (!w->error && !take(w, ":")) {
        w->error = "a colon is missing";
    }
    while (!w->error && word(w)) {
        parse_action(w, r);
    }
}

static void rule_free(gpointer opaque)
{
    FakeRule *r = opaque;

    set_reply(r, NULL);
    g_free(r);
}

static void parse_storage(Words *w, FakeScript *s)
{
    static const struct {
        const char *name;
        TpmAt at;
    } all[] = {
        { "good", TPM_AT_RUNNING }, { "gone", TPM_AT_GONE },
        { "full", TPM_AT_FULL }, { "locked", TPM_AT_LOCKED },
        { "spoiled", TPM_AT_SPOILED },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
        if (take(w, all[i].name)) {
            s->has_storage = true;
            s->storage = all[i].at;
            return;
        }
    }
    w->error = "storage is good, gone, full, locked or spoiled";
}

static void parse_words(Words *w, FakeScript *s)
{
    if (!word(w)) {
        return;
    }
    if (take(w, "on")) {
        FakeRule *r = g_new0(FakeRule, 1);

        g_ptr_array_add(s->rules, r);
        parse_rule(w, r);
    } else if (take(w, "version")) {
        s->old = take(w, "1.2");
        if (!s->old && !take(w, "2.0")) {
            w->error = "version is 1.2 or 2.0";
        }
    } else if (take(w, "caps")) {
        s->caps = number(w, 16);
    } else if (take(w, "buffer")) {
        s->buffer = number(w, 10);
    } else if (take(w, "storage")) {
        parse_storage(w, s);
    } else if (take(w, "like")) {
        s->newer = take(w, "0.10");
        if (!s->newer && !take(w, "0.7")) {
            w->error = "like 0.7 or 0.10";
        }
    } else if (take(w, "established")) {
        s->established = true;
    } else {
        w->error = "not a rule";
    }
    if (!w->error && word(w)) {
        w->error = "too many words";
    }
}

/* "NAME:" is two words */
static char *parse_line(const char *line, FakeScript *s)
{
    g_auto(GStrv) halves = g_strsplit(line, ":", 2);
    g_autofree char *spaced = g_strjoinv(" : ", halves);
    g_auto(GStrv) split = g_strsplit_set(spaced, " \t\r", -1);
    Words w = { .w = split };

    if (*line == '#') {
        return NULL;
    }
    parse_words(&w, s);
    return w.error ? g_strdup_printf("'%s': %s", line, w.error) : NULL;
}

FakeScript *fake_script_parse(const char *text, char **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    FakeScript *s = g_new0(FakeScript, 1);

    s->rules = g_ptr_array_new_with_free_func(rule_free);
    s->caps = 0xffff;
    s->buffer = 4096;
    for (char **line = lines; *line; line++) {
        char *message = parse_line(*line, s);

        if (message) {
            *error = message;
            fake_script_free(s);
            return NULL;
        }
    }
    return s;
}

void fake_script_free(FakeScript *s)
{
    g_ptr_array_unref(s->rules);
    g_free(s);
}

void fake_script_prepend(FakeScript *s, FakeScript *more)
{
    for (guint i = 0; i < s->rules->len; i++) {
        g_ptr_array_add(more->rules, g_ptr_array_index(s->rules, i));
    }
    g_ptr_array_set_free_func(s->rules, NULL);
    g_ptr_array_unref(s->rules);
    s->rules = more->rules;
    g_free(more);
}

FakeRule *fake_script_match(FakeScript *s, FakeOn on, uint32_t what)
{
    FakeRule *found = NULL;

    /* Each rule counts what fits it, also when another one acts */
    for (guint i = 0; i < s->rules->len; i++) {
        FakeRule *r = g_ptr_array_index(s->rules, i);

        if (r->on != on || (r->what && r->what != what)) {
            continue;
        }
        r->seen++;
        if (!found && !r->used && (!r->nth || r->nth == r->seen)) {
            found = r;
            r->used = !r->every;
        }
    }
    return found;
}

static void append_rubbish(GByteArray *a, uint64_t n)
{
    guint old = a->len;

    g_byte_array_set_size(a, old + n);
    memset(a->data + old, RUBBISH, n);
}

void fake_rule_apply(const FakeRule *r, GByteArray *answer)
{
    if (r->reply) {
        g_byte_array_set_size(answer, 0);
        g_byte_array_append(answer, r->reply->data, r->reply->len);
    }
    if (r->oversize || r->has_size) {
        g_byte_array_set_size(answer, TPM_WIRE_HDR);
        append_rubbish(answer, r->oversize > TPM_WIRE_HDR ?
                               r->oversize - TPM_WIRE_HDR : 0);
        tpm_wire_put32(answer->data + 2, r->has_size ? r->size : r->oversize);
    }
    if (r->rubbish || r->silent) {
        g_byte_array_set_size(answer, 0);
        append_rubbish(answer, r->rubbish);
    }
    if (r->cut && r->cut_to < answer->len) {
        g_byte_array_set_size(answer, r->cut_to);
    }
    append_rubbish(answer, r->extra);
}
