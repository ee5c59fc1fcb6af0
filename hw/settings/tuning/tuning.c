/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qapi/qapi-commands-tuning.h"
#include "qapi/util.h"
#include "tuning.h"

static TuningStatus status_of(const char *requested, const char *effective)
{
    if (!effective) {
        return TUNING_STATUS_UNAVAILABLE;
    }
    if (!requested) {
        return TUNING_STATUS_UNSET;
    }
    return g_str_equal(requested, effective) ? TUNING_STATUS_OK :
                                               TUNING_STATUS_DIFFERS;
}

TuningItem *tuning_add(TuningList *list, TuningArea area, Object *obj,
                       const char *setting, char *requested, char *effective)
{
    TuningItem *item = g_new0(TuningItem, 1);

    item->area = area;
    item->object = object_get_canonical_path(obj);
    item->setting = g_strdup(setting);
    item->requested = requested;
    item->effective = effective;
    item->status = status_of(requested, effective);
    QAPI_LIST_APPEND(list->tail, item);
    return item;
}

TuningItemList *coroutine_fn qmp_query_tuning(Error **errp)
{
    TuningList list = { .tail = &list.head };

    tuning_halt_polling(&list);
    tuning_threads(&list);
    if (!tuning_memory(&list, errp)) {
        qapi_free_TuningItemList(list.head);
        return NULL;
    }
    tuning_passthrough(&list);
    tuning_topology(&list);
    tuning_tpm(&list);
    return list.head;
}
