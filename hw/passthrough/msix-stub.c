/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-vfio-msix where there is no vfio-pci
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "qapi/qapi-commands-vfio-msix.h"

VfioMsixInfoList *qmp_query_vfio_msix(Error **errp)
{
    return NULL;
}
