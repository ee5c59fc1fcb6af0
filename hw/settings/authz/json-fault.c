/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#ifdef NATIVE_UNIT_TEST
#include <string.h>
#else
#include "qemu/osdep.h"
#endif
#include "json-fault.h"

/* As deep as QEMU's parser goes */
#define DEPTH_MAX 1024

typedef struct Scan {
    const char *pos;            /* the fault's place once there is one */
    const char *what;           /* NULL as long as all is well */
    unsigned depth;
} Scan;

static void scan_value(Scan *s);

static void fail(Scan *s, const char *pos, const char *what)
{
    if (!s->what) {
        s->pos = pos;
        s->what = what;
    }
}

static void skip_space(Scan *s)
{
    if (!s->what) {
        s->pos += strspn(s->pos, " \t\r\n");
    }
}

/* At the quote */
static void scan_string(Scan *s)
{
    const char *start = s->pos;
    const char *p = start + 1;

    for (; *p != *start; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (!*p || *p == '\n') {
            fail(s, start, "string without an end");
            return;
        } else if ((unsigned char)*p < ' ') {
            fail(s, p, "control character in a string");
            return;
        }
    }
    s->pos = p + 1;
}

static void scan_number(Scan *s)
{
    const char *p = s->pos + (*s->pos == '-');
    size_t digits = strspn(p, "0123456789");

    if (!digits || (digits > 1 && *p == '0')) {
        fail(s, s->pos, "not a number");
        return;
    }
    p += digits;
    if (*p == '.') {
        digits = strspn(p + 1, "0123456789");
        p += 1 + digits;
    }
    if (digits && (*p == 'e' || *p == 'E')) {
        p++;
        p += *p == '-' || *p == '+';
        digits = strspn(p, "0123456789");
        p += digits;
    }
    if (!digits) {
        fail(s, s->pos, "not a number");
        return;
    }
    s->pos = p;
}

static void scan_word(Scan *s)
{
    static const char *const words[] = { "true", "false", "null" };
    size_t len = strspn(s->pos, "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (len == strlen(words[i]) && !strncmp(s->pos, words[i], len)) {
            s->pos += len;
            return;
        }
    }
    fail(s, s->pos, len ? "word without quotes" : "value expected");
}

static void scan_member(Scan *s)
{
    skip_space(s);
    if (!s->what && *s->pos != '"' && *s->pos != '\'') {
        fail(s, s->pos, "name of a member in quotes expected");
        return;
    }
    scan_string(s);
    skip_space(s);
    if (!s->what && *s->pos != ':') {
        fail(s, s->pos, "':' expected");
        return;
    }
    if (!s->what) {
        s->pos++;
        scan_value(s);
    }
}

/* At the opening bracket; @close ends the items, which @item scans */
static void scan_items(Scan *s, char close, void (*item)(Scan *s))
{
    const char *comma = NULL;

    s->pos++;
    skip_space(s);
    if (*s->pos == close) {
        s->pos++;
        return;
    }
    do {
        item(s);
        skip_space(s);
        if (s->what) {
            return;
        }
        comma = *s->pos == ',' ? s->pos : NULL;
        if (comma) {
            s->pos++;
            skip_space(s);
            if (*s->pos == close) {
                fail(s, comma, close == ']' ? "comma before ']'" :
                                              "comma before '}'");
                return;
            }
        }
    } while (comma);
    if (*s->pos != close) {
        fail(s, s->pos, close == ']' ? "',' or ']' expected" :
                                       "',' or '}' expected");
        return;
    }
    s->pos++;
}

static void scan_value(Scan *s)
{
    skip_space(s);
    if (s->what) {
        return;
    }
    if (++s->depth > DEPTH_MAX) {
        fail(s, s->pos, "too deep");
        return;
    }
    switch (*s->pos) {
    case '{':
        scan_items(s, '}', scan_member);
        break;
    case '[':
        scan_items(s, ']', scan_value);
        break;
    case '"':
    case '\'':
        scan_string(s);
        break;
    case '-':
    case '0' ... '9':
        scan_number(s);
        break;
    default:
        scan_word(s);
        break;
    }
    s->depth--;
}

bool json_fault_find(const char *text, JsonFault *fault)
{
    Scan s = { .pos = text };

    scan_value(&s);
    skip_space(&s);
    if (!s.what && *s.pos) {
        fail(&s, s.pos, "more text after the value");
    }
    if (!s.what) {
        return false;
    }
    fault->line = 1;
    fault->column = 1;
    fault->what = s.what;
    for (; text < s.pos; text++) {
        fault->column++;
        if (*text == '\n') {
            fault->line++;
            fault->column = 1;
        }
    }
    return true;
}
