/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Lists of the guest agent's commands
 */
#include <glib.h>
#include <string.h>
#include "hw/settings/qga/rpc-list.h"

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
    g_autofree char *have = NULL;
    GList *list = NULL, *strays = NULL;

    g_assert_null(rpc_list_argument(&list, &strays, "guest-ping"));
    g_assert_null(rpc_list_argument(&list, &strays, "typo"));
    g_assert_null(rpc_list_argument(&list, &strays, ""));
    g_assert_null(rpc_list_argument(&list, &strays, " ,"));
    g_assert_null(strays);
    have = joined(list);
    g_assert_cmpstr(have, ==, "guest-ping+typo+");
}

static char *stray(const char *text, gboolean lists)
{
    GList *strays = NULL;

    g_assert_null(rpc_list_argument(NULL, &strays, text));
    return rpc_list_strays(strays, lists, exists);
}

static void test_strays(void)
{
    static const char *const wrong[] = { "guest-ping", "x,guest-info" };
    g_autofree char *typo = NULL;

    g_assert_null(rpc_list_strays(NULL, TRUE, exists));
    g_assert_null(stray("/some/path", FALSE));
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *error = stray(wrong[i], FALSE);

        g_assert_nonnull(strstr(error, wrong[i]));
    }
    /* ${VAR} of a service, with nothing in it */
    g_assert_null(stray("", TRUE));
    g_assert_null(stray(" ", TRUE));
    g_assert_null(stray("", FALSE));
    typo = stray("guest-pign", TRUE);
    g_assert_nonnull(strstr(typo, "'guest-pign'"));
}

static char *unknown(const char *text)
{
    g_autoptr(GKeyFile) file = g_key_file_new();

    g_assert_true(g_key_file_load_from_data(file, text, -1, 0, NULL));
    return rpc_list_unknown_keys(file);
}

static void test_keys(void)
{
    g_autofree char *keys = unknown("[general]\nblock-rpc=a\npath=/\n"
                                    "logfil=b\n[Generl]\nx=y\n");

    g_assert_cmpstr(keys, ==,
                    "not known and ignored: [Generl] block-rpc logfil");
    g_assert_null(unknown("[general]\nblacklist=a\nallow-rpcs=b\n"));
    g_assert_null(unknown(""));
}

static void test_check_block(void)
{
    g_autofree char *error = NULL;
    GList *list = NULL;

    g_assert_null(rpc_list_check_block(NULL, exists));
    g_assert_null(rpc_list_add(&list, "guest-ping guest-info"));
    g_assert_null(rpc_list_check_block(list, exists));
    /* Windows has it */
    g_assert_null(rpc_list_add(&list, "guest-get-devices"));
    g_assert_null(rpc_list_check_block(list, exists));
    g_assert_null(rpc_list_add(&list, "guest-pign"));
    error = rpc_list_check_block(list, exists);
    g_assert_nonnull(strstr(error, "block-rpcs: unknown command 'guest-pign'"));
    g_list_free_full(list, g_free);
}

static void test_absent(void)
{
    g_autofree char *absent = NULL;
    GList *list = NULL;

    g_assert_null(rpc_list_absent(NULL, "allow-rpcs", exists));
    g_assert_null(rpc_list_add(&list, "guest-ping guest-info"));
    g_assert_null(rpc_list_absent(list, "allow-rpcs", exists));
    g_assert_null(rpc_list_add(&list, "guest-get-devices"));
    g_assert_null(rpc_list_add(&list, "guest-pign"));
    absent = rpc_list_absent(list, "allow-rpcs", exists);
    g_assert_cmpstr(absent, ==, "allow-rpcs: this agent does not have "
                                "'guest-get-devices', 'guest-pign'");
    /* They stay: a list of nothing else must allow nothing */
    g_assert_cmpuint(g_list_length(list), ==, 4);
    g_list_free_full(list, g_free);
}

static void test_known(void)
{
    static const char *const known[] = {
        "guest-exec", "guest-get-devices", "guest-suspend-hybrid", "guest-sync",
        "guest-sync-delimited",
    };
    static const char *const unknown[] = {
        "", "guest-", "guest-pign", "Guest-Ping", "guest-sync-", "zzz",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        g_assert_true(rpc_name_known(known[i]));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(unknown); i++) {
        g_assert_false(rpc_name_known(unknown[i]));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc-list/add", test_add);
    g_test_add_func("/rpc-list/no-name", test_no_name);
    g_test_add_func("/rpc-list/argument", test_argument);
    g_test_add_func("/rpc-list/strays", test_strays);
    g_test_add_func("/rpc-list/keys", test_keys);
    g_test_add_func("/rpc-list/check-block", test_check_block);
    g_test_add_func("/rpc-list/absent", test_absent);
    g_test_add_func("/rpc-list/known", test_known);
    return g_test_run();
}
