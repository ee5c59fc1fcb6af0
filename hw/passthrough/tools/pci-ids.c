/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include <glib.h>
#include <stdbool.h>
#include <string.h>
#include "pci-ids.h"

static const char *const places[] = {
    "/usr/share/hwdata/pci.ids",
    "/usr/share/misc/pci.ids",
    "/usr/share/pci.ids",
};

/* The file's text, read once; NULL: there is none */
static const char *ids_text(const char *path)
{
    static char *text;
    static bool tried;

    if (tried) {
        return text;
    }
    tried = true;
    if (path) {
        g_file_get_contents(path, &text, NULL, NULL);
        return text;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        if (g_file_get_contents(places[i], &text, NULL, NULL)) {
            break;
        }
    }
    return text;
}

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');

    return end && end[1] ? end + 1 : NULL;
}

/* The name on a line "ID  name" */
static char *line_name(const char *line, size_t skip)
{
    size_t len = strcspn(line + skip, "\n");
    g_autofree char *name = g_strndup(line + skip, len);
    g_autofree char *valid = g_utf8_make_valid(g_strstrip(name), -1);

    for (char *p = valid; *p; p++) {
        if (g_ascii_iscntrl(*p)) {
            *p = '?';
        }
    }
    return g_steal_pointer(&valid);
}

/*
 * Vendors begin their line; their devices follow, behind one tab; subsystems
 * have two tabs and are passed over.
 */
char *pci_ids_name(const char *path, unsigned vendor, unsigned device)
{
    g_autofree char *vendor_id = g_strdup_printf("%04x ", vendor);
    g_autofree char *device_id = g_strdup_printf("\t%04x ", device);
    g_autofree char *name = NULL;

    for (const char *line = ids_text(path); line; line = next_line(line)) {
        if (!name && g_str_has_prefix(line, vendor_id)) {
            name = line_name(line, strlen(vendor_id));
        } else if (name && g_str_has_prefix(line, device_id)) {
            g_autofree char *model = line_name(line, strlen(device_id));

            return g_strdup_printf("%s %s", name, model);
        } else if (name && *line != '\t' && *line != '#') {
            break;
        }
    }
    return g_steal_pointer(&name);
}
