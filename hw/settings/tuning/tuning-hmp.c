/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * info tuning
 */
#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/qapi-commands-tuning.h"

static int widest_of(int least, const char *text)
{
    return MAX(least, text ? (int)strlen(text) : 1);
}

void coroutine_fn hmp_info_tuning(Monitor *mon, const QDict *qdict)
{
    Error *err = NULL;
    TuningItemList *list = qmp_query_tuning(&err), *l;
    int object = 6, setting = 7, requested = 9, effective = 9;

    if (hmp_handle_error(mon, err)) {
        return;
    }
    for (l = list; l; l = l->next) {
        object = widest_of(object, l->value->object);
        setting = widest_of(setting, l->value->setting);
        requested = widest_of(requested, l->value->requested);
        effective = widest_of(effective, l->value->effective);
    }
    monitor_printf(mon, "%-12s %-*s  %-*s  %-*s  %-*s  %-11s  %s\n", "AREA",
                   object, "OBJECT", setting, "SETTING", requested,
                   "REQUESTED", effective, "EFFECTIVE", "STATUS", "REASON");
    for (l = list; l; l = l->next) {
        const TuningItem *item = l->value;

        monitor_printf(mon, "%-12s %-*s  %-*s  %-*s  %-*s  %-11s  %s\n",
                       TuningArea_str(item->area), object, item->object,
                       setting, item->setting, requested,
                       item->requested ?: "-", effective,
                       item->effective ?: "-", TuningStatus_str(item->status),
                       item->reason ?: "-");
    }
    qapi_free_TuningItemList(list);
}
