/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Lists of the guest agent's commands
 */
#include <glib.h>
#include <string.h>
#include "hw/qga/rpc-list.h"

static gboolean exists(const char *name)
{
    return g_str_equal(name, "guest-ping") || g_str_equal(name, "guest-info");
}

/* The names with '+' after each; @list is freed */
static char *joined(GList *list)
{
    GString *text = g_string_new(NULL);

    for (GList *l = list; l; l = l->next) {
        g_string_append_printf(text, "%s+", (char *)l->data);
    }
    g_list_free_full(list, g_free);
    return g_string_free(text, FALSE);
}

static void expect_list(const char *first, const char *second,
                        const char *names)
{
    g_autofree char *have = NULL;
    GList *list = NULL;

    g_assert_null(rpc_list_add(&list, first));
    g_assert_null(rpc_list_add(&list, second));
    have = joined(list);
    g_assert_cmpstr(have, ==, names);
}

static void test_add(void)
{
    expect_list("", "", "");
    expect_list("a", "", "a+");
    /* As ever, the names of one option are stored last one first */
    expect_list("a,b", "c,d", "b+a+d+c+");
    expect_list("a b", "c\td\n", "b+a+d+c+");
    expect_list("a;b;", "c", "b+a+c+");
    expect_list(" a, b,,c ,", "", "c+b+a+");
}

static void test_no_name(void)
{
    static const char *const texts[] = { ",", " ", " ,\t, " };

    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        GList *list = NULL;
        g_autofree char *error = rpc_list_add(&list, texts[i]);

        g_assert_nonnull(error);
        g_assert_nonnull(strstr(error, texts[i]));
        g_assert_null(list);
    }
}

static void test_argument(void)
{
    g_autofree char *error = NULL;
    g_autofree char *inner = NULL;
    g_autofree char *have = NULL;
    GList *list = NULL;

    g_assert_null(rpc_list_argument(&list, "guest-ping", FALSE, exists));
    g_assert_null(rpc_list_argument(&list, "typo", FALSE, exists));
    g_assert_null(rpc_list_argument(&list, "", FALSE, exists));
    have = joined(list);
    g_assert_cmpstr(have, ==, "guest-ping+typo+");

    g_assert_null(rpc_list_argument(NULL, "/some/path", FALSE, exists));
    error = rpc_list_argument(NULL, "guest-ping", FALSE, exists);
    g_assert_nonnull(strstr(error, "'guest-ping'"));
    inner = rpc_list_argument(NULL, "x,guest-info", FALSE, exists);
    g_assert_nonnull(strstr(inner, "'guest-info'"));
}

static void test_check(void)
{
    g_autofree char *error = NULL;
    GList *list = NULL;

    g_assert_null(rpc_list_check(NULL, "block-rpcs", exists));
    g_assert_null(rpc_list_add(&list, "guest-ping guest-info"));
    g_assert_null(rpc_list_check(list, "block-rpcs", exists));
    g_assert_null(rpc_list_add(&list, "guest-pign"));
    error = rpc_list_check(list, "block-rpcs", exists);
    g_assert_nonnull(strstr(error, "block-rpcs: unknown command 'guest-pign'"));
    g_list_free_full(list, g_free);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc-list/add", test_add);
    g_test_add_func("/rpc-list/no-name", test_no_name);
    g_test_add_func("/rpc-list/argument", test_argument);
    g_test_add_func("/rpc-list/check", test_check);
    return g_test_run();
}
