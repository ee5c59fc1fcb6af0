/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * query-nearmetal: which nearmetal this is, and what it has that stock lacks
 *
 * Called by the monitor, with the BQL held.
 */
#include "qemu/osdep.h"
#include "qapi/qapi-commands-release.h"
#include "qapi/util.h"
#include "hw/boards.h"
#include "qom/object.h"
/* Written by scripts/build, in the build folder */
#if __has_include("nearmetal-release.h")
#include "nearmetal-release.h"
#else
#define NEARMETAL_VERSION  "unknown"
#define NEARMETAL_COMMIT   "unknown"
#define NEARMETAL_BASE     "unknown"
#define NEARMETAL_FEATURES "lean"
#endif

typedef struct Extension {
    const char *type;       /* of QOM; NULL: no type tells of it */
    const char *property;   /* NULL: the type itself */
    const char *name;       /* NULL: made of type and property */
    const char *theme;
    const char *standard;   /* what is in force by default */
    const char *stock;      /* if stock does something else */
} Extension;

static const Extension all_extensions[] = {
    { "iothread", "poll-policy", NULL, "iothread", "predictive", "classic" },
    { "iothread", "poll-cpu-limit", NULL, "iothread" },
    { "iothread", "poll-weight", NULL, "iothread" },
    { "iothread", "poll-latency-weight", NULL, "iothread" },
    { "iothread", "cpu-affinity", NULL, "iothread" },
    { "iothread", "thread-context", NULL, "iothread" },
#ifdef CONFIG_IOTHREAD_STATS
    { "iothread", NULL, "query-stats.target=iothread", "statistics" },
#endif
    { NULL, NULL, "block-export.vhost-user-blk: polling", "iothread",
      "by the IOThread's policy", "off" },
    { "vfio-pci", "numa-node", NULL, "passthrough", "off" },
    { "vfio-pci", "numa-node-actual", NULL, "passthrough" },
    { "vfio-pci", "x-msix-relocation", "vfio-pci.x-msix-relocation=auto",
      "passthrough", "off" },
    { "vfio-pci", "msix-relocated", NULL, "passthrough" },
    { "vfio-pci", "msix-bar", NULL, "passthrough" },
    { "vfio-pci", "msix-reason", NULL, "passthrough" },
    { "vfio-pci", "msix-trapped-accesses", NULL, "passthrough" },
    { "tpm-crb-device", NULL, NULL, "tpm" },
    { "tpm-tis-device", "ppi", NULL, "tpm", "off" },
    { "tpm-tis-device", "interrupt", NULL, "tpm", "off" },
    { "tpm-emulator", NULL, "tpm-emulator.start-timeout", "tpm" },
    { "tpm-emulator", NULL, "tpm-emulator.control-timeout", "tpm" },
    { "machine", "numa-by-cluster", NULL, "topology", "off" },
    { "machine", "stable-topology-ids", NULL, "topology", "off" },
    { "machine", "smp-cache", "machine.smp-cache: size", "topology" },
    { "machine", "kvm-halt-poll-ns", NULL, "settings", "the host's" },
    { "machine", "vcpu-affinity", NULL, "settings" },
    { "memory-backend-ram", "thp", NULL, "settings", "on" },
    { "memory-backend-file", "thp", NULL, "settings", "on" },
    { "memory-backend-memfd", "thp", NULL, "settings", "on" },
    { "authz-listfile", NULL, NULL, "settings" },
    { NULL, NULL, "set.object", "libvirt" },
    { NULL, NULL, "global.object", "libvirt" },
};

/*
 * Properties of devices and backends belong to their class, those of machines
 * partly to the object
 */
static bool extension_available(const Extension *e)
{
    ObjectClass *oc;

    if (!e->type) {
        return true;
    }
    if (g_str_equal(e->type, TYPE_MACHINE)) {
        return current_machine &&
               object_property_find(OBJECT(current_machine), e->property);
    }
    oc = object_class_by_name(e->type);
    return oc && (!e->property || object_class_property_find(oc, e->property));
}

static char *extension_name(const Extension *e)
{
    if (e->name) {
        return g_strdup(e->name);
    }
    return e->property ? g_strdup_printf("%s.%s", e->type, e->property) :
                         g_strdup(e->type);
}

static NearmetalExtension *extension_describe(const Extension *e)
{
    NearmetalExtension *x = g_new0(NearmetalExtension, 1);

    x->name = extension_name(e);
    x->theme = g_strdup(e->theme);
    x->available = extension_available(e);
    x->q_default = g_strdup(e->standard);
    x->stock_default = g_strdup(e->stock);
    return x;
}

NearmetalInfo *qmp_query_nearmetal(Error **errp)
{
    NearmetalInfo *info = g_new0(NearmetalInfo, 1);
    NearmetalExtensionList **tail = &info->extensions;

    info->version = g_strdup(NEARMETAL_VERSION);
    info->commit = g_strdup(NEARMETAL_COMMIT);
    info->base = g_strdup(NEARMETAL_BASE);
    info->features = g_strdup(NEARMETAL_FEATURES);
    for (int i = 0; i < G_N_ELEMENTS(all_extensions); i++) {
        QAPI_LIST_APPEND(tail, extension_describe(&all_extensions[i]));
    }
    return info;
}
