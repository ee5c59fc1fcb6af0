/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Where a JSON text goes wrong
 */
#include <glib.h>
#include "hw/settings/authz/json-fault.h"

typedef struct Case {
    const char *text;
    unsigned line, column;      /* 0: none */
    const char *what;
} Case;

static const Case good[] = {
    { .text = "{}" },
    { .text = " [ ] " },
    { .text = "[1, -2.5e+3, true, false, null, \"a\\\"]\", 'b\"']\n" },
    { .text = "{ \"a\": { \"b\": [ {}, [] ] }, \"c\": 0 }" },
    { .text = "\"\\u00e4\xc3\xa4\"" },
};

static const Case bad[] = {
    { "{ \"rules\": [\n  { \"match\": \"fred\" },\n ] }", 2, 22,
      "comma before ']'" },
    { "{\n  \"policy\": \"deny\",\n}", 2, 19, "comma before '}'" },
    { "[1,\n\n ,2]", 3, 2, "value expected" },
    { "", 1, 1, "value expected" },
    { "[1 2]", 1, 4, "',' or ']' expected" },
    { "[1", 1, 3, "',' or ']' expected" },
    { "{\"a\": 1 \"b\": 2}", 1, 9, "',' or '}' expected" },
    { "{\"a\" 1}", 1, 6, "':' expected" },
    { "{a: 1}", 1, 2, "name of a member in quotes expected" },
    { "{\"a\": deny}", 1, 7, "word without quotes" },
    { "{\"a\": \"deny}\n", 1, 7, "string without an end" },
    { "\"a\\", 1, 1, "string without an end" },
    { "\"a\tb\"", 1, 3, "control character in a string" },
    { "[01]", 1, 2, "not a number" },
    { "[1.]", 1, 2, "not a number" },
    { "[1e]", 1, 2, "not a number" },
    { "[-]", 1, 2, "not a number" },
    { "{} # rules", 1, 4, "more text after the value" },
};

static void test_good(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        JsonFault fault;

        g_assert_false(json_fault_find(good[i].text, &fault));
    }
}

static void test_bad(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        const Case *c = &bad[i];
        JsonFault fault = { };

        g_test_message("%s", c->text);
        g_assert_true(json_fault_find(c->text, &fault));
        g_assert_cmpstr(fault.what, ==, c->what);
        g_assert_cmpuint(fault.line, ==, c->line);
        g_assert_cmpuint(fault.column, ==, c->column);
    }
}

static void test_depth(void)
{
    g_autofree char *open = g_strnfill(1024, '[');
    g_autofree char *close = g_strnfill(1024, ']');
    g_autofree char *fits = g_strconcat(open, close, NULL);
    g_autofree char *deep = g_strconcat("[", fits, "]", NULL);
    JsonFault fault;

    g_assert_false(json_fault_find(fits, &fault));
    g_assert_true(json_fault_find(deep, &fault));
    g_assert_cmpstr(fault.what, ==, "too deep");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json-fault/good", test_good);
    g_test_add_func("/json-fault/bad", test_bad);
    g_test_add_func("/json-fault/depth", test_depth);
    return g_test_run();
}
