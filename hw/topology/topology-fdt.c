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
#include "qemu/bswap.h"
#include "qemu/error-report.h"
#include "system/device_tree.h"
#include "machine-topology.h"
#include "topo-dt.h"
#include "topology-fdt.h"
#include <libfdt.h>

typedef struct Splice {
    const TopoTree *tree;
    uint32_t *phandle;          /* of each cache of the tree */
    GByteArray *structure;
    GByteArray *strings;
    GHashTable *names;          /* new ones: offset in @strings, plus 1 */
} Splice;

static void put_bytes(GByteArray *out, const void *data, unsigned size)
{
    static const uint8_t zeros[4];

    g_byte_array_append(out, data, size);
    g_byte_array_append(out, zeros, -size & 3);
}

static void put_cell(GByteArray *out, uint32_t value)
{
    uint32_t cell = cpu_to_be32(value);

    g_byte_array_append(out, (uint8_t *)&cell, sizeof(cell));
}

static uint32_t name_offset(Splice *s, const char *name)
{
    gpointer known = g_hash_table_lookup(s->names, name);

    if (!known) {
        known = GUINT_TO_POINTER(s->strings->len + 1);
        g_byte_array_append(s->strings, (const uint8_t *)name,
                            strlen(name) + 1);
        g_hash_table_insert(s->names, (gpointer)name, known);
    }
    return GPOINTER_TO_UINT(known) - 1;
}

static void put_property(Splice *s, const char *name, const void *data,
                         unsigned size)
{
    put_cell(s->structure, FDT_PROP);
    put_cell(s->structure, size);
    put_cell(s->structure, name_offset(s, name));
    put_bytes(s->structure, data, size);
}

static void put_property_cell(Splice *s, const char *name, uint32_t value)
{
    uint32_t cell = cpu_to_be32(value);

    put_property(s, name, &cell, sizeof(cell));
}

static void put_properties(Splice *s, const TopoDtNode *node)
{
    for (unsigned i = 0; i < node->count; i++) {
        const TopoDtProp *p = &node->prop[i];

        switch (p->type) {
        case TOPO_DT_EMPTY:
            put_property(s, p->name, "", 0);
            break;
        case TOPO_DT_CELL:
            put_property_cell(s, p->name, p->cell);
            break;
        case TOPO_DT_STRING:
            put_property(s, p->name, p->string, strlen(p->string) + 1);
            break;
        case TOPO_DT_REF:
            put_property_cell(s, p->name, s->phandle[p->cache]);
            break;
        }
    }
}

static void put_cpu(Splice *s, const char *name)
{
    TopoDtNode node;

    topo_dt_cpu(s->tree, g_ascii_strtoull(name + strlen("cpu@"), NULL, 10),
                &node);
    put_properties(s, &node);
}

static void put_caches(Splice *s)
{
    for (unsigned i = 0; i < s->tree->cache_count; i++) {
        TopoDtNode node;

        if (!topo_dt_cache(s->tree, i, &node)) {
            continue;
        }
        put_cell(s->structure, FDT_BEGIN_NODE);
        put_bytes(s->structure, node.name, strlen(node.name) + 1);
        put_properties(s, &node);
        put_property_cell(s, "phandle", s->phandle[i]);
        put_cell(s->structure, FDT_END_NODE);
    }
}

/* Copy the structure block; what is new goes to the end of its node */
static void splice_structure(Splice *s, const void *fdt)
{
    const uint8_t *block = (const uint8_t *)fdt + fdt_off_dt_struct(fdt);
    const char *cpu = NULL;
    bool in_cpus = false;
    int depth = 0, next;
    uint32_t tag;

    for (int offset = 0; ; offset = next) {
        const char *name = (const char *)block + offset + FDT_TAGSIZE;

        tag = fdt_next_tag(fdt, offset, &next);
        if (tag == FDT_BEGIN_NODE) {
            depth++;
            in_cpus |= depth == 2 && g_str_equal(name, "cpus");
            if (in_cpus && depth == 3 && g_str_has_prefix(name, "cpu@")) {
                cpu = name;
            }
        } else if (tag == FDT_END_NODE) {
            if (cpu && depth == 3) {
                put_cpu(s, cpu);
                cpu = NULL;
            } else if (in_cpus && depth == 2) {
                put_caches(s);
                in_cpus = false;
            }
            depth--;
        }
        g_assert(next > offset);
        g_byte_array_append(s->structure, block + offset, next - offset);
        if (tag == FDT_END) {
            return;
        }
    }
}

/* Header, memory reservations, structure and strings as one */
static GByteArray *assemble(const Splice *s, const void *fdt)
{
    unsigned reserved = (fdt_num_mem_rsv(fdt) + 1) *
                        sizeof(struct fdt_reserve_entry);
    unsigned at = sizeof(struct fdt_header);
    GByteArray *blob = g_byte_array_new();
    struct fdt_header header = {
        .magic = cpu_to_be32(FDT_MAGIC),
        .totalsize = cpu_to_be32(at + reserved + s->structure->len +
                                 s->strings->len),
        .off_mem_rsvmap = cpu_to_be32(at),
        .off_dt_struct = cpu_to_be32(at + reserved),
        .off_dt_strings = cpu_to_be32(at + reserved + s->structure->len),
        .version = cpu_to_be32(fdt_version(fdt)),
        .last_comp_version = cpu_to_be32(fdt_last_comp_version(fdt)),
        .boot_cpuid_phys = cpu_to_be32(fdt_boot_cpuid_phys(fdt)),
        .size_dt_strings = cpu_to_be32(s->strings->len),
        .size_dt_struct = cpu_to_be32(s->structure->len),
    };

    g_byte_array_append(blob, (uint8_t *)&header, sizeof(header));
    g_byte_array_append(blob, (const uint8_t *)fdt + fdt_off_mem_rsvmap(fdt),
                        reserved);
    g_byte_array_append(blob, s->structure->data, s->structure->len);
    g_byte_array_append(blob, s->strings->data, s->strings->len);
    return blob;
}

void topology_fdt_add_caches(MachineState *ms)
{
    const TopoTree *tree = ms->topology ? ms->topology->tree : NULL;
    g_autoptr(GByteArray) structure = g_byte_array_new();
    g_autoptr(GByteArray) strings = g_byte_array_new();
    g_autoptr(GByteArray) blob = NULL;
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    g_autofree uint32_t *phandle = NULL;
    Splice s = { tree, NULL, structure, strings, names };
    int err;

    if (!tree || !tree->cache_count) {
        return;
    }
    phandle = s.phandle = g_new(uint32_t, tree->cache_count);
    for (unsigned i = 0; i < tree->cache_count; i++) {
        phandle[i] = tree->caches[i].kind < TOPO_L2 ? 0
                     : qemu_fdt_alloc_phandle(ms->fdt);
    }
    g_byte_array_append(strings, (const uint8_t *)ms->fdt +
                        fdt_off_dt_strings(ms->fdt),
                        fdt_size_dt_strings(ms->fdt));
    splice_structure(&s, ms->fdt);
    blob = assemble(&s, ms->fdt);
    err = fdt_open_into(blob->data, ms->fdt, fdt_totalsize(ms->fdt));
    if (err) {
        error_report("smp-cache: no room for %u caches in the device tree: %s",
                     tree->cache_count, fdt_strerror(err));
        exit(1);
    }
}
