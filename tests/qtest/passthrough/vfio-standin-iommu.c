/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Containers and groups of the stand-in for VFIO
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * As type 1 of the kernel, version 2: a DMA mapping neither overlaps another
 * one, nor is it unmapped in part.
 */

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vfio-standin.h"

typedef struct DmaMap {
    uint64_t iova;
    uint64_t size;
    struct DmaMap *next;
} DmaMap;

typedef struct Container {
    unsigned groups;
    bool iommu;
    DmaMap *maps;
} Container;

typedef struct Group {
    int nr;
    Container *container;
    struct Group *next;
} Group;

static Group *groups;
static unsigned containers;
static unsigned long maps;
/* Mappings that QEMU left to the kernel to undo */
static unsigned long stale_maps;

static int fail(int error)
{
    errno = error;
    return -1;
}

static void drop_maps(Container *c)
{
    while (c->maps) {
        DmaMap *map = c->maps;

        c->maps = map->next;
        free(map);
        maps--;
        stale_maps++;
    }
}

int standin_container_open(void)
{
    Container *c = calloc(1, sizeof(*c));
    int fd = standin_fd_new(STANDIN_CONTAINER, c);

    if (fd < 0) {
        free(c);
        return -1;
    }
    containers++;
    return fd;
}

void standin_container_close(void *object)
{
    Container *c = object;

    drop_maps(c);
    for (Group *g = groups; g; g = g->next) {
        if (g->container == c) {
            g->container = NULL;
        }
    }
    containers--;
    free(c);
}

static bool unaligned(uint64_t value)
{
    return value & (standin_page_size() - 1);
}

static int map_dma(Container *c, const struct vfio_iommu_type1_dma_map *arg)
{
    DmaMap *map;

    if (!arg->size || unaligned(arg->size | arg->iova | arg->vaddr) ||
        arg->iova + arg->size - 1 < arg->iova) {
        return fail(EINVAL);
    }
    for (map = c->maps; map; map = map->next) {
        if (arg->iova <= map->iova + map->size - 1 &&
            map->iova <= arg->iova + arg->size - 1) {
            return fail(EEXIST);
        }
    }
    map = malloc(sizeof(*map));
    *map = (DmaMap) { arg->iova, arg->size, c->maps };
    c->maps = map;
    maps++;
    return 0;
}

static bool within(const DmaMap *map, uint64_t first, uint64_t last)
{
    return map->iova >= first && map->iova + map->size - 1 <= last;
}

static int unmap_dma(Container *c, struct vfio_iommu_type1_dma_unmap *arg)
{
    bool all = arg->flags & VFIO_DMA_UNMAP_FLAG_ALL;
    uint64_t first = all ? 0 : arg->iova;
    uint64_t last = all ? UINT64_MAX : arg->iova + arg->size - 1;
    DmaMap *map, **link;

    for (map = c->maps; map; map = map->next) {
        if (first <= map->iova + map->size - 1 && map->iova <= last &&
            !within(map, first, last)) {
            return fail(EINVAL);
        }
    }
    arg->size = 0;
    link = &c->maps;
    while ((map = *link)) {
        if (!within(map, first, last)) {
            link = &map->next;
            continue;
        }
        *link = map->next;
        arg->size += map->size;
        free(map);
        maps--;
    }
    return 0;
}

static int check_extension(unsigned long extension)
{
    return extension == VFIO_TYPE1_IOMMU || extension == VFIO_TYPE1v2_IOMMU ||
           extension == VFIO_UNMAP_ALL;
}

static int iommu_info(struct vfio_iommu_type1_info *info)
{
    info->flags = VFIO_IOMMU_INFO_PGSIZES;
    info->iova_pgsizes = -(uint64_t)standin_page_size();
    return 0;
}

int standin_container_ioctl(void *object, unsigned long request, void *arg)
{
    Container *c = object;

    switch (request) {
    case VFIO_GET_API_VERSION:
        return VFIO_API_VERSION;
    case VFIO_CHECK_EXTENSION:
        return check_extension((unsigned long)arg);
    case VFIO_SET_IOMMU:
        if (!c->groups || c->iommu || !check_extension((unsigned long)arg)) {
            return fail(EINVAL);
        }
        c->iommu = true;
        return 0;
    }
    if (!c->iommu) {
        return fail(EINVAL);
    }
    switch (request) {
    case VFIO_IOMMU_GET_INFO:
        return iommu_info(arg);
    case VFIO_IOMMU_MAP_DMA:
        return map_dma(c, arg);
    case VFIO_IOMMU_UNMAP_DMA:
        return unmap_dma(c, arg);
    }
    return fail(ENOTTY);
}

/* A group can be opened once, so that one left open is noticed */
int standin_group_open(StandinState *s, int nr)
{
    bool known = false;
    Group *g;
    int fd;

    for (unsigned i = 0; i < s->devices; i++) {
        known |= s->device[i].group == nr;
    }
    for (g = groups; g; g = g->next) {
        if (g->nr == nr) {
            return fail(EBUSY);
        }
    }
    if (!known) {
        return fail(ENOENT);
    }
    g = calloc(1, sizeof(*g));
    g->nr = nr;
    fd = standin_fd_new(STANDIN_GROUP, g);
    if (fd < 0) {
        free(g);
        return -1;
    }
    g->next = groups;
    groups = g;
    return fd;
}

static int group_attach(Group *g, int fd)
{
    StandinFd *entry = standin_fd_get(fd);

    if (!entry || entry->kind != STANDIN_CONTAINER) {
        return fail(EBADF);
    }
    if (g->container) {
        return fail(EINVAL);
    }
    g->container = entry->object;
    g->container->groups++;
    return 0;
}

static void group_detach(Group *g)
{
    Container *c = g->container;

    g->container = NULL;
    if (c && !--c->groups) {
        c->iommu = false;
        drop_maps(c);
    }
}

static bool group_in_use(StandinState *s, const Group *g)
{
    for (unsigned i = 0; i < s->devices; i++) {
        if (s->device[i].group == g->nr && s->device[i].open) {
            return true;
        }
    }
    return false;
}

static int group_device(StandinState *s, Group *g, const char *name)
{
    StandinDevice *d = standin_find(s, name);
    int fd;

    if (!g->container || !g->container->iommu) {
        return fail(EINVAL);
    }
    if (!d || d->group != g->nr) {
        return fail(ENODEV);
    }
    fd = standin_fd_new(STANDIN_DEVICE, d);
    if (fd >= 0) {
        d->open++;
    }
    return fd;
}

int standin_group_ioctl(StandinState *s, void *object, unsigned long request,
                        void *arg)
{
    Group *g = object;
    struct vfio_group_status *status = arg;

    switch (request) {
    case VFIO_GROUP_GET_STATUS:
        status->flags = VFIO_GROUP_FLAGS_VIABLE |
                        (g->container ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
        return 0;
    case VFIO_GROUP_SET_CONTAINER:
        return group_attach(g, *(int *)arg);
    case VFIO_GROUP_UNSET_CONTAINER:
        if (!g->container) {
            return fail(EINVAL);
        }
        if (group_in_use(s, g)) {
            return fail(EBUSY);
        }
        group_detach(g);
        return 0;
    case VFIO_GROUP_GET_DEVICE_FD:
        return group_device(s, g, arg);
    }
    return fail(ENOTTY);
}

void standin_group_close(void *object)
{
    Group *g = object;
    Group **link = &groups;

    while (*link != g) {
        link = &(*link)->next;
    }
    *link = g->next;
    group_detach(g);
    free(g);
}

void standin_iommu_status(FILE *out)
{
    unsigned n = 0;

    for (Group *g = groups; g; g = g->next) {
        n++;
    }
    fprintf(out, "containers=%u\ngroups=%u\ndma-maps=%lu\nstale-dma-maps=%lu\n",
            containers, n, maps, stale_maps);
}
