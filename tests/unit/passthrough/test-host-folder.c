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

/*
 * As Linux has it: the character device's folder has a link to its device.
 * Here /dev/null and /dev/zero have one, of which one leads nowhere.
 */
static void set_up(void)
{
    g_autofree char *good = NULL, *bad = NULL;

    sysfs = g_dir_make_tmp("host-folder.XXXXXX", NULL);
    g_assert_nonnull(sysfs);
    make("devices/pci0000:00/0000:81:00.1/vfio-dev/vfio3");
    make("dev/char/1:3");
    make("dev/char/1:5");
    good = g_build_filename(sysfs, "dev/char/1:3/device", NULL);
    bad = g_build_filename(sysfs, "dev/char/1:5/device", NULL);
    g_assert_cmpint(symlink("../../../devices/pci0000:00/0000:81:00.1", good),
                    ==, 0);
    g_assert_cmpint(symlink("../../../devices/none", bad), ==, 0);
}

static char *folder_of(const char *path)
{
    int fd = open(path, O_RDONLY);
    char *folder;

    g_assert_cmpint(fd, >=, 0);
    folder = host_folder_of_fd(sysfs, fd);
    close(fd);
    g_assert_null(host_folder_of_fd(sysfs, fd));
    return folder;
}

static void test_fd(void)
{
    g_autofree char *folder = folder_of("/dev/null");
    g_autofree char *name = NULL;

    g_assert_nonnull(folder);
    name = g_path_get_basename(folder);
    g_assert_cmpstr(name, ==, "0000:81:00.1");
    g_assert_null(folder_of("/dev/zero"));
    g_assert_null(folder_of("/dev/full"));
    g_assert_null(folder_of("/"));
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
    g_test_add_func("/host-folder/fd", test_fd);
    g_test_add_func("/host-folder/slot", test_slot);
    ret = g_test_run();
    tear_down();
    return ret;
}
