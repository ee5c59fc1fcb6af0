/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * What a flattened device tree says
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qemu/bswap.h"
#include "fdt-read.h"

enum { BEGIN_NODE = 1, END_NODE, PROPERTY, NOP, END = 9 };

char *fdt_fetch(QTestState *qts, gsize *size)
{
    g_autofree char *dir = g_dir_make_tmp("fdt-read.XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "dtb", NULL);
    char *dtb;

    qtest_qmp_assert_success(qts, "{ 'execute': 'dumpdtb', 'arguments': {"
                             " 'filename': %s } }", path);
    g_assert_true(g_file_get_contents(path, &dtb, size, NULL));
    g_unlink(path);
    g_rmdir(dir);
    g_assert_cmphex((uint32_t)ldl_be_p(dtb), ==, 0xd00dfeed);
    return dtb;
}

/* Each node: @path of it; each property: @name, too. Returns: true to stop */
typedef bool Visit(const char *path, const char *name, const char *value,
                   uint32_t size, void *opaque);

static void walk(const char *dtb, Visit *visit, void *opaque)
{
    const char *at = dtb + ldl_be_p(dtb + 8);
    const char *names = dtb + ldl_be_p(dtb + 12);
    g_autoptr(GString) path = g_string_new(NULL);
    uint32_t token, size;

    while ((token = ldl_be_p(at)) != END) {
        at += 4;
        switch (token) {
        case BEGIN_NODE:
            g_string_append_printf(path, "%s%s", path->len == 1 ? "" : "/", at);
            at += ROUND_UP(strlen(at) + 1, 4);
            if (visit(path->str, NULL, NULL, 0, opaque)) {
                return;
            }
            break;
        case END_NODE:
            g_string_truncate(path, MAX(strrchr(path->str, '/') - path->str,
                                        1));
            break;
        case PROPERTY:
            size = ldl_be_p(at);
            if (visit(path->str, names + ldl_be_p(at + 4), at + 8, size,
                      opaque)) {
                return;
            }
            at += 8 + ROUND_UP(size, 4);
            break;
        default:
            g_assert_cmpint(token, ==, NOP);
        }
    }
}

typedef struct Wanted {
    const char *path, *name, *value;
    uint32_t size;
    GString *children;
} Wanted;

static bool is_wanted(const char *path, const char *name, const char *value,
                      uint32_t size, void *opaque)
{
    Wanted *w = opaque;

    if (name && g_str_equal(path, w->path) && g_str_equal(name, w->name)) {
        w->value = value;
        w->size = size;
        return true;
    }
    return false;
}

const char *fdt_property(const char *dtb, const char *path, const char *name,
                         uint32_t *size)
{
    Wanted w = { .path = path, .name = name };

    walk(dtb, is_wanted, &w);
    if (size) {
        *size = w.size;
    }
    return w.value;
}

uint32_t fdt_cell(const char *dtb, const char *path, const char *name,
                  unsigned n)
{
    uint32_t size;
    const char *value = fdt_property(dtb, path, name, &size);

    g_assert_nonnull(value);
    g_assert_cmpuint(size, >=, 4 * (n + 1));
    return ldl_be_p(value + 4 * n);
}

static bool add_child(const char *path, const char *name, const char *value,
                      uint32_t size, void *opaque)
{
    Wanted *w = opaque;
    size_t length = strlen(w->path);

    if (!name && g_str_has_prefix(path, w->path) && path[length] == '/' &&
        !strchr(path + length + 1, '/')) {
        g_string_append_printf(w->children, "%s%s",
                               w->children->len ? " " : "", path + length + 1);
    }
    return false;
}

char *fdt_children(const char *dtb, const char *path)
{
    Wanted w = { .path = path, .children = g_string_new(NULL) };

    walk(dtb, add_child, &w);
    return g_string_free(w.children, false);
}
