/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "part-of-disk.h"

const char *part_of_disk(const char *sysfs, unsigned major, unsigned minor)
{
    g_autofree char *dir = g_strdup_printf("%s/dev/block/%u:%u", sysfs, major,
                                           minor);
    g_autofree char *partition = g_strdup_printf("%s/partition", dir);
    g_autofree char *uuid_path = g_strdup_printf("%s/dm/uuid", dir);
    g_autofree char *uuid = NULL;

    if (g_file_test(partition, G_FILE_TEST_EXISTS)) {
        return "partition";
    }
    if (g_file_get_contents(uuid_path, &uuid, NULL, NULL)) {
        /* kpartx makes partitions of multipath devices: part1-mpath-... */
        if (g_str_has_prefix(uuid, "part")) {
            return "partition";
        }
        if (g_str_has_prefix(uuid, "LVM-")) {
            return "logical volume";
        }
    }
    return NULL;
}
