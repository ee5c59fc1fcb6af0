/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Lists of the commands that the guest agent blocks or allows
 *
 * What cannot be understood is an error where the agent would do what somebody
 * wanted to forbid: in a list of what is blocked.  Of a list of what is allowed
 * a name that is not understood allows nothing.  GLib only;
 * the agent has one thread.
 */
#ifndef NEARMETAL_RPC_LIST_H
#define NEARMETAL_RPC_LIST_H

#include <glib.h>

/* Is there a command of this name? */
typedef gboolean (*RpcExists)(const char *name);

/**
 * rpc_list_add: add the names in @text, the last one first, to the end of @list
 * @text: names with commas, semicolons or white space between them;
 *        "" is none
 *
 * Returns: NULL, or an error if @text has separators only; to be freed
 */
char *rpc_list_add(GList **list, const char *text);

/**
 * rpc_list_argument: an argument that belongs to no option
 * @list: the list that the option right before it has begun, or NULL
 * @strays: where it goes without such a list
 *
 * After a list it goes on with it, which is what becomes of "--block-rpcs=a b"
 * when a service manager splits it.  One without a name is nothing.
 *
 * Returns: NULL, or an error; to be freed
 */
char *rpc_list_argument(GList **list, GList **strays, const char *text);

/**
 * rpc_list_strays: judge the arguments that belong to no option
 * @strays: from rpc_list_argument(); freed
 * @lists: whether there has been a list: they could be meant to be in it
 *
 * Returns: NULL, or an error; to be freed
 */
char *rpc_list_strays(GList *strays, gboolean lists, RpcExists exists);

/**
 * rpc_list_unknown_keys: groups and keys of the configuration file that the
 * agent does not know, and which therefore do nothing
 *
 * Returns: in words, to be freed; NULL if there is none
 */
char *rpc_list_unknown_keys(GKeyFile *file);

/**
 * rpc_name_known: does an agent of some platform have a command of this name?
 */
gboolean rpc_name_known(const char *name);

/**
 * rpc_list_check_block: is there a name that no agent knows in the list of what
 * is blocked?  It may be a misspelt one, whose command would not be blocked.
 *
 * Returns: NULL, or an error; to be freed
 */
char *rpc_list_check_block(const GList *list, RpcExists exists);

/**
 * rpc_list_absent: names of a list that this agent does not have
 * @option: for the message
 *
 * Returns: in words, to be freed; NULL if there is none
 */
char *rpc_list_absent(const GList *list, const char *option, RpcExists exists);

#endif /* NEARMETAL_RPC_LIST_H */
