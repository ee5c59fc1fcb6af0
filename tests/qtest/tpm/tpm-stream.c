/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A migration stream in a file, to be changed
 */
#include "qemu/osdep.h"
#include "tpm-stream.h"

#define SECTION_FULL    4
#define NUMBER          4       /* of the section, before the name */
#define VERSIONS        8       /* instance and version, behind it */
#define PATH_MAX_LEN    64      /* of a device, before the name */

/* Is there a section's head, with its name's end at @end? */
static bool is_section(const char *bytes, gsize end, gsize name_len)
{
    gsize max = MIN(name_len + PATH_MAX_LEN, 255);

    for (gsize len = name_len; len <= max; len++) {
        if (end < len + 2 + NUMBER) {
            return false;
        }
        if ((guint8)bytes[end - len - 1] == len &&
            bytes[end - len - 2 - NUMBER] == SECTION_FULL) {
            return true;
        }
    }
    return false;
}

gsize tpm_stream_find(const char *bytes, gsize len, const char *name)
{
    gsize name_len = strlen(name), found = 0;

    for (gsize at = 0; at + name_len + VERSIONS < len; at++) {
        if (!memcmp(bytes + at, name, name_len) &&
            is_section(bytes, at + name_len, name_len)) {
            g_assert_cmpuint(found, ==, 0);
            found = at + name_len + VERSIONS;
        }
    }
    g_assert_cmpuint(found, !=, 0);
    return found;
}

void tpm_stream_change(const char *from, const char *to, const char *name,
                       gsize at, unsigned len, guint32 value)
{
    g_autofree char *bytes = NULL;
    gsize size, where;

    g_assert_true(g_file_get_contents(from, &bytes, &size, NULL));
    where = tpm_stream_find(bytes, size, name) + at;
    g_assert_cmpuint(where + len, <=, size);
    for (unsigned i = 0; i < len; i++) {
        bytes[where + i] = value >> 8 * (len - 1 - i);
    }
    g_assert_true(g_file_set_contents(to, bytes, size, NULL));
}
