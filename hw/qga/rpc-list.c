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
        return g_strdup_printf("'%s' has no name of a command", text);
    }
    *list = g_list_concat(*list, added);
    return NULL;
}

char *rpc_list_argument(GList **list, const char *text, RpcExists exists)
{
    g_auto(GStrv) names = NULL;

    if (list) {
        return rpc_list_add(list, text);
    }
    names = g_strsplit_set(text, SEPARATORS, -1);
    for (int i = 0; names[i]; i++) {
        if (exists(names[i])) {
            return g_strdup_printf("command '%s' does not follow --block-rpcs "
                                   "or --allow-rpcs", names[i]);
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
