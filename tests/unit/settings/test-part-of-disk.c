/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Disks and parts of them in a made-up sysfs
 */
#include <glib.h>
#include <glib/gstdio.h>
#include "hw/settings/scsi/part-of-disk.h"

static char *root;

static void make(const char *device, const char *file, const char *text)
{
    g_autofree char *path = g_build_filename(root, "dev/block", device, file,
                                             NULL);
    g_autofree char *dir = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void test_kinds(void)
{
    make("8:0", "size", "1\n");
    make("8:17", "partition", "1\n");
    make("252:1", "dm/uuid", "LVM-abcdef\n");
    make("252:2", "dm/uuid", "mpath-360000\n");
    make("252:3", "dm/uuid", "part1-mpath-360000\n");
    make("252:4", "dm/uuid", "CRYPT-LUKS2-1\n");

    g_assert_null(part_of_disk(root, 8, 0));
    g_assert_cmpstr(part_of_disk(root, 8, 17), ==, "partition");
    g_assert_cmpstr(part_of_disk(root, 252, 1), ==, "logical volume");
    g_assert_null(part_of_disk(root, 252, 2));
    g_assert_cmpstr(part_of_disk(root, 252, 3), ==, "partition");
    g_assert_null(part_of_disk(root, 252, 4));
    g_assert_null(part_of_disk(root, 9, 9));
}

int main(int argc, char **argv)
{
    g_autofree char *clean = NULL;
    int result;

    g_test_init(&argc, &argv, NULL);
    root = g_dir_make_tmp("part-of-disk-XXXXXX", NULL);
    g_assert_nonnull(root);
    g_test_add_func("/part-of-disk/kinds", test_kinds);
    result = g_test_run();
    clean = g_strdup_printf("rm -rf '%s'", root);
    g_assert_true(g_spawn_command_line_sync(clean, NULL, NULL, NULL, NULL));
    return result;
}
