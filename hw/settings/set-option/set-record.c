/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "hw/nearmetal/settings/set-option/set-record.h"

typedef struct SetRecord {
    char *path;
    char *value;
    Location loc;           /* of the -set */
} SetRecord;

bool set_record_add(GQueue *records, const char *str, Error **errp)
{
    const char *path = strchr(str, '.') + 1;
    const char *equals = strchr(path, '=');
    const char *dot = strchr(path, '.');
    SetRecord *set;

    if (!equals || !dot || dot == path || dot + 1 >= equals) {
        error_setg(errp, "can't parse: \"%s\"", str);
        return false;
    }
    set = g_new0(SetRecord, 1);
    set->path = g_strndup(path, equals - path);
    set->value = g_strdup(equals + 1);
    loc_save(&set->loc);
    g_queue_push_tail(records, set);
    return true;
}

bool set_record_give(GQueue *records, SetRecordFn *give, Error **errp)
{
    SetRecord *set;
    bool ok = true;

    while (ok && (set = g_queue_pop_head(records))) {
        loc_push_restore(&set->loc);
        ok = give(set->path, set->value, errp);
        loc_pop(&set->loc);
        g_free(set->path);
        g_free(set->value);
        g_free(set);
    }
    return ok;
}
