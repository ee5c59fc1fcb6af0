/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices of the stand-in for VFIO: regions and interrupts
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "vfio-standin.h"

#define OFFSET_MASK ((1ull << STANDIN_REGION_SHIFT) - 1)

static const char *const irq_names[STANDIN_IRQS] = {
    [VFIO_PCI_INTX_IRQ_INDEX] = "intx",
    [VFIO_PCI_MSI_IRQ_INDEX] = "msi",
    [VFIO_PCI_MSIX_IRQ_INDEX] = "msix",
    [VFIO_PCI_ERR_IRQ_INDEX] = "err",
    [VFIO_PCI_REQ_IRQ_INDEX] = "req",
};

static int fail(int error)
{
    errno = error;
    return -1;
}

static unsigned irq_count(const StandinDevice *d, unsigned index)
{
    switch (index) {
    case VFIO_PCI_INTX_IRQ_INDEX:
        return d->intx;
    case VFIO_PCI_MSIX_IRQ_INDEX:
        return d->msix;
    case VFIO_PCI_ERR_IRQ_INDEX:
        return d->express;
    case VFIO_PCI_REQ_IRQ_INDEX:
        return 1;
    }
    return 0;
}

static int get_info(struct vfio_device_info *info)
{
    info->flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
    info->num_regions = VFIO_PCI_NUM_REGIONS;
    info->num_irqs = VFIO_PCI_NUM_IRQS;
    return 0;
}

/* Tells that the table may be mapped, if the caller has room for it */
static void add_mappable(struct vfio_region_info *info)
{
    struct vfio_info_cap_header *cap = (void *)(info + 1);
    uint32_t size = sizeof(*info) + sizeof(*cap);

    info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
    if (info->argsz >= size) {
        *cap = (struct vfio_info_cap_header) {
            .id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
            .version = 1,
        };
        info->cap_offset = sizeof(*info);
    } else {
        info->cap_offset = 0;
    }
    info->argsz = size;
}

static void bar_info(const StandinDevice *d, struct vfio_region_info *info)
{
    const StandinBar *bar = &d->bar[info->index];

    info->size = bar->size;
    if (!bar->size) {
        return;
    }
    info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    if (bar->io || bar->nommap) {
        return;
    }
    info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
    if (d->msix && d->mappable && info->index == (d->table & 7)) {
        add_mappable(info);
    }
}

static int get_region_info(const StandinDevice *d,
                           struct vfio_region_info *info)
{
    if (info->index >= VFIO_PCI_NUM_REGIONS) {
        return fail(EINVAL);
    }
    info->flags = 0;
    info->size = 0;
    info->offset = (uint64_t)info->index << STANDIN_REGION_SHIFT;
    switch (info->index) {
    case VFIO_PCI_BAR0_REGION_INDEX ... VFIO_PCI_BAR5_REGION_INDEX:
        bar_info(d, info);
        return 0;
    case VFIO_PCI_ROM_REGION_INDEX:
        return 0;
    case VFIO_PCI_CONFIG_REGION_INDEX:
        info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
        info->size = standin_config_size(d);
        return 0;
    }
    return fail(EINVAL);
}

static int get_irq_info(const StandinDevice *d, struct vfio_irq_info *info)
{
    if (info->index >= VFIO_PCI_NUM_IRQS) {
        return fail(EINVAL);
    }
    info->flags = VFIO_IRQ_INFO_EVENTFD;
    info->count = irq_count(d, info->index);
    if (info->index == VFIO_PCI_INTX_IRQ_INDEX) {
        info->flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
    } else if (info->index != VFIO_PCI_MSIX_IRQ_INDEX || d->noresize) {
        info->flags |= VFIO_IRQ_INFO_NORESIZE;
    }
    return 0;
}

/* Keeps the eventfd itself, as the kernel does, whatever becomes of @fd */
static bool set_irq_fd(int *place, int fd)
{
    int own = -1;

    if (fd >= 0) {
        own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (own < 0) {
            return false;
        }
    }
    if (*place >= 0) {
        close(*place);
    }
    *place = own;
    return true;
}

static void clear_irqs(StandinDevice *d, unsigned index)
{
    for (unsigned i = 0; i < irq_count(d, index); i++) {
        set_irq_fd(&d->irq_fd[index][i], -1);
    }
}

static int trigger(const StandinDevice *d, unsigned index, unsigned vector)
{
    int fd = d->irq_fd[index][vector];

    return fd < 0 ? 0 : eventfd_write(fd, 1);
}

static int set_irqs(StandinDevice *d, const struct vfio_irq_set *set)
{
    const int32_t *fds = (const int32_t *)set->data;

    if (set->index >= VFIO_PCI_NUM_IRQS ||
        set->start + set->count > irq_count(d, set->index)) {
        return fail(EINVAL);
    }
    /* Masking, and unmasking through an eventfd, are for INTx only */
    if (!(set->flags & VFIO_IRQ_SET_ACTION_TRIGGER)) {
        return set->index == VFIO_PCI_INTX_IRQ_INDEX ? 0 : fail(EINVAL);
    }
    if (!set->count) {
        clear_irqs(d, set->index);
        return 0;
    }
    for (unsigned i = 0; i < set->count; i++) {
        if (set->flags & VFIO_IRQ_SET_DATA_NONE) {
            trigger(d, set->index, set->start + i);
        } else if (!(set->flags & VFIO_IRQ_SET_DATA_EVENTFD)) {
            return fail(EINVAL);
        } else if (!set_irq_fd(&d->irq_fd[set->index][set->start + i],
                               fds[i])) {
            return -1;
        }
    }
    return 0;
}

int standin_device_ioctl(StandinDevice *d, unsigned long request, void *arg)
{
    switch (request) {
    case VFIO_DEVICE_GET_INFO:
        return get_info(arg);
    case VFIO_DEVICE_GET_REGION_INFO:
        return get_region_info(d, arg);
    case VFIO_DEVICE_GET_IRQ_INFO:
        return get_irq_info(d, arg);
    case VFIO_DEVICE_SET_IRQS:
        return set_irqs(d, arg);
    case VFIO_DEVICE_RESET:
        return 0;
    }
    return fail(ENOTTY);
}

void standin_device_close(StandinDevice *d)
{
    if (--d->open) {
        return;
    }
    for (unsigned i = 0; i < STANDIN_IRQS; i++) {
        clear_irqs(d, i);
    }
}

const char *standin_fire(StandinDevice *d, const char *name, unsigned vector)
{
    for (unsigned i = 0; i < STANDIN_IRQS; i++) {
        if (strcmp(irq_names[i], name)) {
            continue;
        }
        if (vector >= irq_count(d, i)) {
            return "the device has no such vector";
        }
        if (d->irq_fd[i][vector] < 0) {
            return "QEMU does not listen to this vector";
        }
        return trigger(d, i, vector) ? strerror(errno) : NULL;
    }
    return "no such kind of interrupt";
}

static bool in_config(const StandinDevice *d, size_t len, uint64_t offset)
{
    size_t size = standin_config_size(d);

    return len <= size && offset <= size - len;
}

/* Returns: the BAR, or NULL with errno set */
static StandinBar *accessed_bar(StandinDevice *d, size_t len, uint64_t offset)
{
    uint64_t index = offset >> STANDIN_REGION_SHIFT;

    offset &= OFFSET_MASK;
    if (index >= STANDIN_BARS || offset >= d->bar[index].size ||
        len > d->bar[index].size - offset) {
        errno = EINVAL;
        return NULL;
    }
    return &d->bar[index];
}

ssize_t standin_device_read(StandinDevice *d, void *buf, size_t len,
                            uint64_t offset)
{
    StandinBar *bar;

    if (offset >> STANDIN_REGION_SHIFT == VFIO_PCI_CONFIG_REGION_INDEX) {
        offset &= OFFSET_MASK;
        if (!in_config(d, len, offset)) {
            return fail(EINVAL);
        }
        memcpy(buf, d->config + offset, len);
        return len;
    }
    bar = accessed_bar(d, len, offset);
    if (!bar) {
        return -1;
    }
    bar->reads++;
    return pread(bar->fd, buf, len, offset & OFFSET_MASK);
}

static ssize_t write_config(StandinDevice *d, const uint8_t *buf, size_t len,
                            uint64_t offset)
{
    if (!in_config(d, len, offset)) {
        return fail(EINVAL);
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t mask = d->writable[offset + i];

        d->config[offset + i] &= ~mask;
        d->config[offset + i] |= buf[i] & mask;
    }
    return len;
}

ssize_t standin_device_write(StandinDevice *d, const void *buf, size_t len,
                             uint64_t offset)
{
    StandinBar *bar;

    if (offset >> STANDIN_REGION_SHIFT == VFIO_PCI_CONFIG_REGION_INDEX) {
        return write_config(d, buf, len, offset & OFFSET_MASK);
    }
    bar = accessed_bar(d, len, offset);
    if (!bar) {
        return -1;
    }
    bar->writes++;
    return pwrite(bar->fd, buf, len, offset & OFFSET_MASK);
}

static uint64_t page_down(uint64_t value)
{
    return value & -(uint64_t)standin_page_size();
}

static uint64_t page_up(uint64_t value)
{
    return page_down(value + standin_page_size() - 1);
}

/* Would the pages be those of a table that the kernel keeps to itself? */
static bool maps_table(const StandinDevice *d, unsigned index, size_t len,
                       uint64_t offset)
{
    uint64_t table = d->table & PCI_MSIX_TABLE_OFFSET;

    return d->msix && !d->mappable && index == (d->table & PCI_MSIX_TABLE_BIR)
           && offset < page_up(table + d->msix * PCI_MSIX_ENTRY_SIZE)
           && page_down(table) < offset + page_up(len);
}

int standin_device_map(StandinDevice *d, size_t len, uint64_t *offset)
{
    unsigned index = *offset >> STANDIN_REGION_SHIFT;
    StandinBar *bar;

    *offset &= OFFSET_MASK;
    bar = index < STANDIN_BARS ? &d->bar[index] : NULL;
    if (!bar || bar->io || bar->nommap || !len ||
        *offset + len > page_up(bar->size) ||
        maps_table(d, index, len, *offset)) {
        return fail(EINVAL);
    }
    bar->maps++;
    return bar->fd;
}

static unsigned listened(const StandinDevice *d, unsigned index)
{
    unsigned n = 0;

    for (unsigned i = 0; i < irq_count(d, index); i++) {
        n += d->irq_fd[index][i] >= 0;
    }
    return n;
}

static void device_status(const StandinDevice *d, FILE *out)
{
    for (unsigned i = 0; i < STANDIN_IRQS; i++) {
        fprintf(out, "%s.%s=%u\n", d->name, irq_names[i], listened(d, i));
    }
    for (unsigned i = 0; i < STANDIN_BARS; i++) {
        const StandinBar *bar = &d->bar[i];

        if (bar->size) {
            fprintf(out, "%s.bar%u.reads=%ju\n", d->name, i,
                    (uintmax_t)bar->reads);
            fprintf(out, "%s.bar%u.writes=%ju\n", d->name, i,
                    (uintmax_t)bar->writes);
            fprintf(out, "%s.bar%u.maps=%ju\n", d->name, i,
                    (uintmax_t)bar->maps);
        }
    }
}

void standin_devices_status(const StandinState *s, FILE *out)
{
    unsigned open = 0, eventfds = 0;

    for (unsigned i = 0; i < s->devices; i++) {
        const StandinDevice *d = &s->device[i];

        open += d->open;
        for (unsigned j = 0; j < STANDIN_IRQS; j++) {
            eventfds += listened(d, j);
        }
        device_status(d, out);
    }
    fprintf(out, "devices=%u\neventfds=%u\n", open, eventfds);
}
