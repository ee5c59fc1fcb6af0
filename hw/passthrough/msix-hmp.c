/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * info vfio-msix
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/qapi-commands-vfio-msix.h"

static void print_msix_area(Monitor *mon, const char *name,
                            const VfioMsixArea *seen, const VfioMsixArea *host)
{
    if (!seen) {
        return;
    }
    monitor_printf(mon, "  %-10s BAR %u at 0x%" PRIx64 ", 0x%" PRIx64
                   " bytes", name, seen->bar, seen->offset, seen->size);
    if (seen->bar != host->bar || seen->offset != host->offset) {
        monitor_printf(mon, " (host: BAR %u at 0x%" PRIx64 ")", host->bar,
                       host->offset);
    }
    monitor_printf(mon, "\n");
}

static void print_msix_traps(Monitor *mon, VfioMsixTrapList *traps)
{
    if (!traps) {
        monitor_printf(mon, "  nothing traps\n");
        return;
    }
    monitor_printf(mon, "  trapped:   BAR  %-12s  %-12s %12s %12s\n", "OFFSET",
                   "SIZE", "READS", "WRITES");
    for (; traps; traps = traps->next) {
        const VfioMsixTrap *t = traps->value;

        monitor_printf(mon, "             %3u  0x%-10" PRIx64 "  0x%-10" PRIx64
                       " %12" PRIu64 " %12" PRIu64 "\n", t->bar, t->offset,
                       t->size, t->reads, t->writes);
    }
}

static void print_msix_device(Monitor *mon, const VfioMsixInfo *info)
{
    monitor_printf(mon, "%s: host %s, %u vectors",
                   info->id ? info->id : info->qom_path, info->host,
                   info->vectors);
    if (info->has_numa_node) {
        monitor_printf(mon, ", NUMA node %u", info->numa_node);
    }
    monitor_printf(mon, "\n  x-msix-relocation=%s: ",
                   OffAutoPCIBAR_str(info->requested));
    if (info->relocated) {
        monitor_printf(mon, "relocated to bar%u", info->bar);
    } else {
        monitor_printf(mon, "not relocated");
    }
    monitor_printf(mon, ": %s\n", info->reason);
    monitor_printf(mon, "  host pages of 0x%" PRIx64 " bytes",
                   info->host_page_size);
    if (info->vectors) {
        monitor_printf(mon, ", the table's %s be mapped",
                       info->mappable ? "can" : "cannot");
    }
    monitor_printf(mon, "\n");
    print_msix_area(mon, "table", info->table, info->host_table);
    print_msix_area(mon, "PBA", info->pba, info->host_pba);
    print_msix_traps(mon, info->trapped);
}

void hmp_info_vfio_msix(Monitor *mon, const QDict *qdict)
{
    VfioMsixInfoList *list = qmp_query_vfio_msix(NULL);

    if (!list) {
        monitor_printf(mon, "no vfio-pci devices\n");
    }
    for (VfioMsixInfoList *i = list; i; i = i->next) {
        print_msix_device(mon, i->value);
    }
    qapi_free_VfioMsixInfoList(list);
}
