/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * query-tuning: what was requested, and what there is
 *
 * Each area appends its items to a list; under the BQL, which only
 * tuning_memory() lets go while it waits.
 */
#ifndef NEARMETAL_TUNING_H
#define NEARMETAL_TUNING_H

#include "qapi/qapi-types-tuning.h"
#include "qom/object.h"

typedef struct TuningList {
    TuningItemList *head;
    TuningItemList **tail;
} TuningList;

/**
 * tuning_add: append an item, with the status that follows from the texts
 * @requested: NULL if nothing was; freed with the list
 * @effective: NULL if it can't be told; freed with the list
 *
 * Returns: the item, to add a reason or another status
 */
TuningItem *tuning_add(TuningList *list, TuningArea area, Object *obj,
                       const char *setting, char *requested, char *effective);

void tuning_halt_polling(TuningList *list);
void tuning_threads(TuningList *list);
void tuning_topology(TuningList *list);
/* tuning_passthrough: MSI-X tables and NUMA nodes of passthrough devices */
void tuning_passthrough(TuningList *list);
void tuning_device_node(TuningList *list, Object *device);

void tuning_tpm(TuningList *list);

/**
 * tuning_memory: huge pages, transparent ones, nodes
 *
 * Returns: false with an error where no thread can be had
 */
bool coroutine_fn tuning_memory(TuningList *list, Error **errp);

#endif /* NEARMETAL_TUNING_H */
