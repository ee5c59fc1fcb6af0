/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where sysfs has a device of the host
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include "qemu/osdep.h"
#include <sys/sysmacros.h>
#include "host-folder.h"

char *host_folder_of_fd(const char *sysfs, int fd)
{
    g_autofree char *link = NULL;
    char *real, *folder;
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode)) {
        return NULL;
    }
    link = g_strdup_printf("%s/dev/char/%u:%u/device", sysfs,
                           major(st.st_rdev), minor(st.st_rdev));
    real = realpath(link, NULL);
    folder = g_strdup(real);
    free(real);
    return folder;
}

char *host_folder_slot(const char *folder)
{
    g_autofree char *name = g_path_get_basename(folder);
    char *dot = strrchr(name, '.');

    if (!dot || !strchr(name, ':')) {
        return NULL;
    }
    return g_strndup(name, dot - name);
}
