/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#ifdef CONFIG_LINUX
#include <sys/sysmacros.h>
#endif
#include "block/block_int.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "part-of-disk.h"
#include "whole-disk.h"

#ifdef CONFIG_LINUX
/* The node that has the host's device open, below formats and filters */
static BlockDriverState *lowest_node(BlockDriverState *bs)
{
    GRAPH_RDLOCK_GUARD_MAINLOOP();

    while (bs && bs->drv && !bs->drv->protocol_name) {
        bs = bdrv_primary_bs(bs);
    }
    return bs;
}

/* A descriptor that was handed over has a name that is no file */
static bool stat_disk(const char *name, struct stat *st)
{
    static const int modes[] = { O_RDWR, O_RDONLY };

    if (!strstart(name, "/dev/fdset/", NULL)) {
        return !stat(name, st);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        int fd = qemu_open(name, modes[i], NULL);

        if (fd >= 0) {
            bool known = !fstat(fd, st);

            qemu_close(fd);
            return known;
        }
    }
    return false;
}

void whole_disk_or_warn(BlockBackend *blk, const char *driver)
{
    BlockDriverState *bs = lowest_node(blk_bs(blk));
    const char *part;
    struct stat st;

    if (!bs || !bs->drv || !stat_disk(bs->filename, &st) ||
        !S_ISBLK(st.st_mode)) {
        return;
    }
    part = part_of_disk("/sys", major(st.st_rdev), minor(st.st_rdev));
    if (part) {
        warn_report("%s: '%s' is a %s, and SCSI commands are for the disk that "
                    "it is on, so the guest cannot use it; pass the whole disk "
                    "through, or use scsi-hd", driver, bs->filename, part);
    }
}
#else
void whole_disk_or_warn(BlockBackend *blk, const char *driver)
{
}
#endif
