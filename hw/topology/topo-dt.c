/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The caches of a tree as nodes and properties of a device tree
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * The properties are those of the Devicetree Specification, 3.8 and 3.9.
 */

#include "qemu/osdep.h"
#include <libfdt.h>
#include "topo-dt.h"

static void dt_note(TopoDt *dt, int err)
{
    dt->err = dt->err ?: err;
}

static void dt_number(TopoDt *dt, const char *name, uint32_t value)
{
    dt_note(dt, fdt_property_u32(dt->out, name, value));
}

/* A size that nobody tells is left out, as is one that a cell cannot hold */
static void dt_geometry(TopoDt *dt, const char *prefix, const TopoGeometry *g)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        { "cache-size", g->size },
        { "cache-sets", g->sets },
        { "cache-line-size", g->line },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        g_autofree char *name = g_strconcat(prefix, numbers[i].name, NULL);

        if (numbers[i].value && numbers[i].value <= UINT32_MAX) {
            dt_number(dt, name, numbers[i].value);
        }
    }
}

static void dt_unified(TopoDt *dt, const TopoGeometry *g)
{
    dt_note(dt, fdt_property(dt->out, "cache-unified", "", 0));
    dt_geometry(dt, "", g);
}

static void dt_next(TopoDt *dt, const TopoCache *cache)
{
    if (cache->next >= 0) {
        dt_number(dt, "next-level-cache", dt->phandle[cache->next]);
    }
}

void topo_dt_cpu(TopoDt *dt, unsigned cpu)
{
    const TopoCache *caches = dt->tree->caches;
    int d = topo_tree_cache(dt->tree, TOPO_L1D, cpu);
    int i = topo_tree_cache(dt->tree, TOPO_L1I, cpu);

    if (d >= 0 && caches[d].unified) {
        dt_unified(dt, &caches[d].geometry);
    } else if (d >= 0) {
        dt_geometry(dt, "d-", &caches[d].geometry);
    }
    if (i >= 0) {
        dt_geometry(dt, "i-", &caches[i].geometry);
    }
    if (d >= 0 || i >= 0) {
        dt_next(dt, &caches[d >= 0 ? d : i]);
    }
}

void topo_dt_caches(TopoDt *dt)
{
    for (unsigned n = 0; n < dt->tree->cache_count; n++) {
        const TopoCache *cache = &dt->tree->caches[n];
        g_autofree char *name = g_strdup_printf("%s-cache%u",
            topo_kind_name(cache->kind), cache->number);

        /* An L1 is described where its CPU is */
        if (cache->kind < TOPO_L2) {
            continue;
        }
        dt_note(dt, fdt_begin_node(dt->out, name));
        dt_note(dt, fdt_property_string(dt->out, "compatible", "cache"));
        dt_number(dt, "cache-level", cache->kind == TOPO_L2 ? 2 : 3);
        dt_unified(dt, &cache->geometry);
        dt_next(dt, cache);
        dt_number(dt, "phandle", dt->phandle[n]);
        dt_note(dt, fdt_end_node(dt->out));
    }
}
