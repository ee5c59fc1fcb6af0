/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "rpc-list.h"

#define SEPARATORS ",; \t\r\n"

char *rpc_list_add(GList **list, const char *text)
{
    g_auto(GStrv) names = g_strsplit_set(text, SEPARATORS, -1);
    GList *added = NULL;

    for (int i = 0; names[i]; i++) {
        if (*names[i]) {
            added = g_list_prepend(added, g_strdup(names[i]));
        }
    }
    if (*text && !added) {
        return g_strdup_printf("list '%s' of --block-rpcs or --allow-rpcs has "
                               "no name of a command", text);
    }
    *list = g_list_concat(*list, added);
    return NULL;
}

/* Separators only, which is what an empty variable of a service becomes */
static gboolean is_nothing(const char *text)
{
    return text[strspn(text, SEPARATORS)] == '\0';
}

char *rpc_list_argument(GList **list, GList **strays, const char *text)
{
    if (is_nothing(text)) {
        return NULL;
    }
    if (list) {
        return rpc_list_add(list, text);
    }
    *strays = g_list_append(*strays, g_strdup(text));
    return NULL;
}

static gboolean names_command(const char *text, RpcExists exists)
{
    g_auto(GStrv) names = g_strsplit_set(text, SEPARATORS, -1);

    for (int i = 0; names[i]; i++) {
        if (exists(names[i])) {
            return TRUE;
        }
    }
    return FALSE;
}

char *rpc_list_strays(GList *strays, gboolean lists, RpcExists exists)
{
    char *error = NULL;

    for (GList *l = strays; l && !error; l = l->next) {
        if (lists || names_command(l->data, exists)) {
            error = g_strdup_printf("'%s' does not follow --block-rpcs or "
                                    "--allow-rpcs", (const char *)l->data);
        }
    }
    g_list_free_full(strays, g_free);
    return error;
}

char *rpc_list_check_block(const GList *list, RpcExists exists)
{
    for (; list; list = list->next) {
        if (!exists(list->data) && !rpc_name_known(list->data)) {
            return g_strdup_printf("block-rpcs: unknown command '%s', "
                                   "--block-rpcs=help lists them",
                                   (const char *)list->data);
        }
    }
    return NULL;
}

char *rpc_list_absent(const GList *list, const char *option, RpcExists exists)
{
    GString *text = g_string_new(NULL);

    for (; list; list = list->next) {
        if (!exists(list->data)) {
            g_string_append_printf(text, "%s '%s'", text->len ? "," : "",
                                   (const char *)list->data);
        }
    }
    if (text->len) {
        g_autofree char *head = g_strdup_printf("%s: this agent does not have",
                                                option);
        g_string_prepend(text, head);
    }
    return g_string_free(text, !text->len);
}

char *rpc_list_unknown_keys(GKeyFile *file)
{
    static const char *const known[] = {
        "daemon", "method", "path", "logfile", "pidfile", "fsfreeze-hook",
        "statedir", "verbose", "retry-path", "block-rpcs", "blacklist",
        "allow-rpcs", NULL,
    };
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    g_auto(GStrv) keys = g_key_file_get_keys(file, "general", NULL, NULL);
    GString *text = g_string_new(NULL);

    for (int i = 0; groups[i]; i++) {
        if (!g_str_equal(groups[i], "general")) {
            g_string_append_printf(text, " [%s]", groups[i]);
        }
    }
    for (int i = 0; keys && keys[i]; i++) {
        if (!g_strv_contains(known, keys[i])) {
            g_string_append_printf(text, " %s", keys[i]);
        }
    }
    if (text->len) {
        g_string_prepend(text, "not known and ignored:");
    }
    return g_string_free(text, !text->len);
}
