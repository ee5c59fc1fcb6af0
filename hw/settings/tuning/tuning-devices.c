/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "hw/qdev-core.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-tpm.h"
#include "qapi/qapi-commands-vfio-msix.h"
#include "system/tpm.h"
#include "tuning.h"

static void add_device(TuningList *list, const VfioMsixInfo *info)
{
    Object *obj = object_resolve_path(info->qom_path, NULL);
    char *requested = NULL;
    TuningItem *item;

    if (info->requested != OFF_AUTO_PCIBAR_OFF) {
        requested = g_strdup(OffAutoPCIBAR_str(info->requested));
    }
    item = tuning_add(list, TUNING_AREA_MSIX, obj, "x-msix-relocation",
                      requested, info->relocated ?
                      g_strdup_printf("bar%u", info->bar) : g_strdup("off"));
    if (info->requested == OFF_AUTO_PCIBAR_AUTO) {
        /* Whatever it decided */
        item->status = TUNING_STATUS_OK;
    }
    item->reason = g_strdup(info->reason);
}

void tuning_passthrough(TuningList *list)
{
    VfioMsixInfoList *devices = qmp_query_vfio_msix(NULL);

    for (VfioMsixInfoList *l = devices; l; l = l->next) {
        add_device(list, l->value);
        tuning_device_node(list, object_resolve_path(l->value->qom_path, NULL));
    }
    qapi_free_VfioMsixInfoList(devices);
}

#ifdef CONFIG_TPM
void tuning_tpm(TuningList *list)
{
    TPMInfoList *tpms = qmp_query_tpm(NULL);

    for (TPMInfoList *l = tpms; l; l = l->next) {
        const TPMInfo *info = l->value;
        Object *obj = object_resolve_path_type("", TYPE_TPM_IF, NULL);
        bool lost = info->has_state && info->state == TPM_BACKEND_STATE_LOST;
        /* A TPM that is busy is ready as far as tuning goes */
        TuningItem *item = tuning_add(list, TUNING_AREA_TPM,
            obj ?: qdev_get_machine(), "state", g_strdup("ready"),
            !info->has_state ? NULL : g_strdup(lost ? "lost" : "ready"));

        item->reason = g_strdup(info->last_error);
    }
    qapi_free_TPMInfoList(tpms);
}
#else
void tuning_tpm(TuningList *list)
{
}
#endif
