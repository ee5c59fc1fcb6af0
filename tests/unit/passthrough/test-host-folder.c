/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Which device of the host is a descriptor of?  On a made-up sysfs.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>
#include "hw/passthrough/host-folder.h"

static char *sysfs;

static void make(const char *path)
{
    g_autofree char *folder = g_build_filename(sysfs, path, NULL);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
}

/* As Linux has it: the character device's folder has a link to its device */
static void set_up(void)
{
    g_autofree char *link = NULL;

    sysfs = g_dir_make_tmp("host-folder.XXXXXX", NULL);
    g_assert_nonnull(sysfs);
    make("devices/pci0000:00/0000:81:00.1/vfio-dev/vfio3");
    make("dev/char/511:3");
    make("dev/char/511:4");
    link = g_build_filename(sysfs, "dev/char/511:3/device", NULL);
    g_assert_cmpint(symlink("../../../devices/pci0000:00/0000:81:00.1", link),
                    ==, 0);
}

static void test_number(void)
{
    g_autofree char *folder = host_folder_of_number(sysfs, 511, 3);
    g_autofree char *name = NULL;

    g_assert_nonnull(folder);
    name = g_path_get_basename(folder);
    g_assert_cmpstr(name, ==, "0000:81:00.1");
    g_assert_null(host_folder_of_number(sysfs, 511, 4));
    g_assert_null(host_folder_of_number(sysfs, 1, 3));
}

static void test_fd(void)
{
    int null = open("/dev/null", O_RDONLY);

    g_assert_cmpint(null, >=, 0);
    g_assert_null(host_folder_of_fd(sysfs, null));
    close(null);
    g_assert_null(host_folder_of_fd(sysfs, null));
}

static void test_slot(void)
{
    g_autofree char *slot = host_folder_slot("/sys/devices/x/0000:81:00.1");

    g_assert_cmpstr(slot, ==, "0000:81:00");
    g_assert_null(host_folder_slot("/sys/x/83b8f4f2-509f-382f-3c1e-e6bfe0fa"));
    g_assert_null(host_folder_slot("/sys/x/vfio.1"));
}

static void tear_down(void)
{
    const char *argv[] = { "rm", "-rf", "--", sysfs, NULL };

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH,
                               NULL, NULL, NULL, NULL, NULL, NULL));
    g_free(sysfs);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    set_up();
    g_test_add_func("/host-folder/number", test_number);
    g_test_add_func("/host-folder/fd", test_fd);
    g_test_add_func("/host-folder/slot", test_slot);
    ret = g_test_run();
    tear_down();
    return ret;
}
