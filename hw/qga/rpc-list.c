/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#ifndef NATIVE_UNIT_TEST
#include "qemu/osdep.h"
#endif
#include <string.h>
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

char *rpc_list_argument(GList **list, const char *text, gboolean lists,
                        RpcExists exists)
{
    g_auto(GStrv) names = NULL;

    if (list) {
        return rpc_list_add(list, text);
    }
    names = g_strsplit_set(text, SEPARATORS, -1);
    for (int i = 0; names[i]; i++) {
        if (lists || exists(names[i])) {
            return g_strdup_printf("'%s' does not follow --block-rpcs or "
                                   "--allow-rpcs", names[i]);
        }
    }
    return NULL;
}

char *rpc_list_check(const GList *list, const char *option, RpcExists exists)
{
    for (; list; list = list->next) {
        if (!exists(list->data)) {
            return g_strdup_printf("%s: unknown command '%s', "
                                   "--block-rpcs=help lists them",
                                   option, (const char *)list->data);
        }
    }
    return NULL;
}

char *rpc_list_unknown_key(GKeyFile *file)
{
    static const char *const known[] = {
        "daemon", "method", "path", "logfile", "pidfile", "fsfreeze-hook",
        "statedir", "verbose", "retry-path", "block-rpcs", "blacklist",
        "allow-rpcs", NULL,
    };
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    g_auto(GStrv) keys = g_key_file_get_keys(file, "general", NULL, NULL);

    for (int i = 0; groups[i]; i++) {
        if (!g_str_equal(groups[i], "general")) {
            return g_strdup_printf("group [%s] is not known, only [general]",
                                   groups[i]);
        }
    }
    for (int i = 0; keys && keys[i]; i++) {
        if (!g_strv_contains(known, keys[i])) {
            return g_strdup_printf("key '%s' is not known", keys[i]);
        }
    }
    return NULL;
}
