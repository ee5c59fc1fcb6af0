/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Caches in a machine's device tree
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * Inserting a property moves all that follows it, and finding a node reads all
 * that precedes it: with 512 CPUs that took longer than the rest of the tree.
 * So the tree is written once more, with what is new in its place.
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "system/device_tree.h"
#include "machine-topology.h"
#include "topo-dt.h"
#include "topology-fdt.h"
#include <libfdt.h>

static int copy_reservations(void *out, const void *fdt)
{
    uint64_t address, size;
    int err = 0;

    for (int i = 0; i < fdt_num_mem_rsv(fdt) && !err; i++) {
        err = fdt_get_mem_rsv(fdt, i, &address, &size) ?:
              fdt_add_reservemap_entry(out, address, size);
    }
    return err ?: fdt_finish_reservemap(out);
}

static int copy_property(void *out, const void *fdt, int offset)
{
    const char *name;
    int size;
    const void *data = fdt_getprop_by_offset(fdt, offset, &name, &size);

    return data ? fdt_property(out, name, data, size) : size;
}

/* What is new goes to the end of its node */
static int copy_nodes(TopoDt *dt, const void *fdt)
{
    const char *cpu = NULL, *name;
    bool in_cpus = false;
    int depth = 0, next, err = 0;
    uint32_t tag;

    for (int offset = 0; !err && !dt->err; offset = next) {
        tag = fdt_next_tag(fdt, offset, &next);
        if (tag == FDT_BEGIN_NODE) {
            name = fdt_get_name(fdt, offset, NULL);
            depth++;
            in_cpus |= depth == 2 && g_str_equal(name, "cpus");
            if (in_cpus && depth == 3 && g_str_has_prefix(name, "cpu@")) {
                cpu = name + strlen("cpu@");
            }
            err = fdt_begin_node(dt->out, name);
        } else if (tag == FDT_PROP) {
            err = copy_property(dt->out, fdt, offset);
        } else if (tag == FDT_END_NODE) {
            if (cpu && depth == 3) {
                topo_dt_cpu(dt, g_ascii_strtoull(cpu, NULL, 10));
                cpu = NULL;
            } else if (in_cpus && depth == 2) {
                topo_dt_caches(dt);
                in_cpus = false;
            }
            err = fdt_end_node(dt->out);
            depth--;
        } else if (tag == FDT_END) {
            break;
        }
    }
    return dt->err ?: err;
}

void topology_fdt_add_caches(MachineState *ms)
{
    const TopoTree *tree = ms->topology ? ms->topology->tree : NULL;
    g_autofree uint32_t *phandle = NULL;
    g_autofree void *out = NULL;
    TopoDt dt = { .tree = tree };
    int room, err;

    if (!tree || !tree->cache_count) {
        return;
    }
    phandle = g_new0(uint32_t, tree->cache_count);
    for (unsigned i = 0; i < tree->cache_count; i++) {
        if (tree->caches[i].kind >= TOPO_L2) {
            phandle[i] = qemu_fdt_alloc_phandle(ms->fdt);
        }
    }
    room = fdt_totalsize(ms->fdt);
    dt.phandle = phandle;
    dt.out = out = g_malloc(room);
    err = fdt_create(out, room) ?: copy_reservations(out, ms->fdt) ?:
          copy_nodes(&dt, ms->fdt) ?: fdt_finish(out);
    if (!err) {
        fdt_set_boot_cpuid_phys(out, fdt_boot_cpuid_phys(ms->fdt));
        err = fdt_open_into(out, ms->fdt, room);
    }
    if (err) {
        error_report("smp-cache: no room for %u caches in the device tree: %s",
                     tree->cache_count, fdt_strerror(err));
        exit(1);
    }
}
