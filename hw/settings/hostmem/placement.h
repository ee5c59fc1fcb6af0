/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Where the pages of memory areas are, by numa_maps and smaps of the kernel
 *
 * The kernel walks all pages of the process for that, which takes long with
 * large guests.  GLib only; any thread.
 */
#ifndef NEARMETAL_PLACEMENT_H
#define NEARMETAL_PLACEMENT_H

#include <glib.h>
#include <stdbool.h>

#define PLACEMENT_NODES 128

/* What differs between the mappings of an area is said to be this */
#define PLACEMENT_MIXED "mixed"
#define PLACEMENT_TEXT 512

/* A memory area; the kernel's mappings begin where areas do, or later */
typedef struct Placement {
    guint64 start;
    guint64 end;
    guint64 pages[PLACEMENT_NODES];     /* mapped pages on each node */
    guint64 huge_bytes;                 /* of them, in huge pages */
    char policy[PLACEMENT_TEXT];        /* such as "bind:0-1"; "" unknown */
    char thp[PLACEMENT_TEXT];           /* on, off, inherit or hugetlb */
    guint64 huge_page;      /* set by the caller: size, 0 unknown */
    bool no_thp;            /* the kernel gives none where one would fit */
    bool fits;              /* one does in the present mapping */
} Placement;

/**
 * placement_numa_maps: add a line of numa_maps to the area that it is about
 * @list: @n areas, which don't overlap
 */
void placement_numa_maps(Placement *list, unsigned n, const char *line);

/**
 * placement_smaps: add a line of smaps
 * @current: the area that the line before was about, NULL at first
 *
 * Returns: the area that the line is about, or NULL
 */
Placement *placement_smaps(Placement *list, unsigned n, Placement *current,
                           const char *line);

/**
 * placement_read: fill in what the kernel says about the areas
 * @proc: folder of the process, "/proc/self"
 * @error: the file that cannot be read and why, to be freed
 *
 * Returns: FALSE with an error if the host can't tell
 */
gboolean placement_read(Placement *list, unsigned n, const char *proc,
                        char **error);

/* placement_read_nodes: as placement_read() without @huge_bytes */
gboolean placement_read_nodes(Placement *list, unsigned n, const char *proc,
                              char **error);

#endif /* NEARMETAL_PLACEMENT_H */
