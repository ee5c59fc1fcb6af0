/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qobject/json-parser.h"
#include "qobject/qobject.h"
#include "rule-file.h"

#define JSON_SPACE " \t\r\n"

typedef struct RuleFileScan {
    JSONMessageParser parser;
    bool done, failed;
    int x, y;                   /* of the error: column, line - 1 */
} RuleFileScan;

static void rule_file_parsed(void *opaque, QObject *json, Error *err)
{
    RuleFileScan *scan = opaque;

    if (!scan->done) {
        scan->done = true;
        scan->failed = err != NULL;
        scan->x = scan->parser.error_x;
        scan->y = scan->parser.error_y;
    }
    qobject_unref(json);
    error_free(err);
}

/* Where @text stops being one JSON value */
static const char *rule_file_fault(const char *text)
{
    RuleFileScan scan = { };
    const char *pos = text;

    json_message_parser_init(&scan.parser, rule_file_parsed, &scan, NULL);
    while (*pos && !scan.done) {
        json_message_parser_feed(&scan.parser, pos++, 1);
    }
    if (!scan.done) {
        json_message_parser_flush(&scan.parser);
    }
    json_message_parser_destroy(&scan.parser);
    if (!scan.failed) {
        return pos + strspn(pos, JSON_SPACE);
    }
    for (pos = text; scan.y > 0; scan.y--) {
        pos = strchr(pos, '\n') + 1;
    }
    return pos + scan.x - 1;
}

/* The comma that is followed by the bracket at @pos; NULL: there is none */
static const char *rule_file_comma(const char *text, const char *pos)
{
    if (*pos != ']' && *pos != '}') {
        return NULL;
    }
    while (pos > text && strchr(JSON_SPACE, pos[-1])) {
        pos--;
    }
    return pos > text && pos[-1] == ',' ? pos - 1 : NULL;
}

void rule_file_error(const char *filename, const char *text, Error **errp)
{
    ERRP_GUARD();
    g_autofree char *what = NULL;
    const char *fault, *comma;
    unsigned line = 1, column = 1;

    if (!text) {
        error_prepend(errp, "File '%s': ", filename);
        return;
    }
    fault = rule_file_fault(text);
    comma = rule_file_comma(text, fault);
    if (comma) {
        what = g_strdup_printf("comma before '%c': ", *fault);
        fault = comma;
    }
    for (; text < fault; text++) {
        column = *text == '\n' ? 1 : column + 1;
        line += *text == '\n';
    }
    error_prepend(errp, "File '%s', line %u, column %u: %s", filename, line,
                  column, what ?: "");
}

bool rule_file_early(Object *obj, const char *property, bool complete,
                     Error **errp)
{
    if (complete) {
        error_setg(errp, "Property '%s.%s' is for the creation of the object; "
                   "remove it with object-del and add it anew",
                   object_get_typename(obj), property);
    }
    return !complete;
}
