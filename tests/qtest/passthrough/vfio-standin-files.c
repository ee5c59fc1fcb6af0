/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes what a device of the stand-in for VFIO is made of: config space, BARs
 * as files, and its directory in sysfs
 *
 * Copyright (C) 2026 nearmetal contributors
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "vfio-standin.h"

#define EXPRESS_CAP     0x40
#define MSIX_CAP        0x80

/* Flags in sysfs' "resource", from the kernel's linux/ioport.h */
#define RESOURCE_IO             0x00000100
#define RESOURCE_MEM            0x00000200
#define RESOURCE_PREFETCH       0x00002000
#define RESOURCE_SIZEALIGN      0x00040000
#define RESOURCE_MEM_64         0x00100000

typedef struct Addresses {
    uint64_t io;
    uint64_t mem;
    uint64_t mem64;
} Addresses;

size_t standin_config_size(const StandinDevice *d)
{
    return d->express ? STANDIN_CONFIG_SIZE : 256;
}

static void put(uint8_t *place, uint64_t value, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        place[i] = value >> (8 * i);
    }
}

static void add_express(StandinDevice *d, unsigned next)
{
    uint8_t *cap = d->config + EXPRESS_CAP;

    cap[PCI_CAP_LIST_ID] = PCI_CAP_ID_EXP;
    cap[PCI_CAP_LIST_NEXT] = next;
    put(cap + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4, 2);
    put(cap + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR, 4);
    put(cap + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_SLS_8_0GB | 4 << 4, 4);
    put(cap + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_CLS_8_0GB | 4 << 4, 2);
    put(d->writable + EXPRESS_CAP + PCI_EXP_DEVCTL, 0x7fff, 2);
}

static void add_msix(StandinDevice *d)
{
    uint8_t *cap = d->config + MSIX_CAP;

    cap[PCI_CAP_LIST_ID] = PCI_CAP_ID_MSIX;
    put(cap + PCI_MSIX_FLAGS, d->msix - 1, 2);
    put(cap + PCI_MSIX_TABLE, d->table, 4);
    put(cap + PCI_MSIX_PBA, d->pba, 4);
    put(d->writable + MSIX_CAP + PCI_MSIX_FLAGS,
        PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
}

static void add_capabilities(StandinDevice *d)
{
    unsigned msix = d->msix ? MSIX_CAP : 0;

    d->config[PCI_CAPABILITY_LIST] = d->express ? EXPRESS_CAP : msix;
    if (d->express) {
        add_express(d, msix);
    }
    if (d->msix) {
        add_msix(d);
    }
    if (d->config[PCI_CAPABILITY_LIST]) {
        d->config[PCI_STATUS] = PCI_STATUS_CAP_LIST;
    }
}

static uint64_t bar_bits(const StandinBar *bar)
{
    if (bar->io) {
        return PCI_BASE_ADDRESS_SPACE_IO;
    }
    return (bar->mem64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
           (bar->prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);
}

static uint64_t take_address(const StandinBar *bar, Addresses *a)
{
    uint64_t *next = bar->io ? &a->io : bar->mem64 ? &a->mem64 : &a->mem;
    /* Page aligned, as the kernel places them for vfio-pci */
    uint64_t align = bar->size < 65536 && !bar->io ? 65536 : bar->size;
    uint64_t address = (*next + align - 1) & -align;

    *next = address + align;
    return address;
}

static void add_bars(StandinDevice *d, Addresses a, FILE *resource)
{
    for (int i = 0; i < STANDIN_BARS; i++) {
        const StandinBar *bar = &d->bar[i];
        uint64_t bits = bar_bits(bar), address, mask = -bar->size;
        unsigned at = PCI_BASE_ADDRESS_0 + 4 * i, len = bar->mem64 ? 8 : 4;

        if (!bar->size) {
            fprintf(resource, "0x%016x 0x%016x 0x%016x\n", 0, 0, 0);
            continue;
        }
        address = take_address(bar, &a);
        put(d->config + at, address | bits, len);
        put(d->writable + at, mask, len);
        fprintf(resource, "0x%016jx 0x%016jx 0x%016jx\n", (uintmax_t)address,
                (uintmax_t)(address + bar->size - 1), (uintmax_t)(bits |
                RESOURCE_SIZEALIGN | (bar->io ? RESOURCE_IO : RESOURCE_MEM) |
                (bar->mem64 ? RESOURCE_MEM_64 : 0) |
                (bar->prefetch ? RESOURCE_PREFETCH : 0)));
        if (bar->mem64) {
            fprintf(resource, "0x%016x 0x%016x 0x%016x\n", 0, 0, 0);
            i++;
        }
    }
    /* The ROM, and a bridge's windows */
    for (int i = STANDIN_BARS; i < 13; i++) {
        fprintf(resource, "0x%016x 0x%016x 0x%016x\n", 0, 0, 0);
    }
}

static void add_header(StandinDevice *d)
{
    put(d->config + PCI_VENDOR_ID, d->vendor, 2);
    put(d->config + PCI_DEVICE_ID, d->device, 2);
    put(d->config + PCI_CLASS_PROG, d->class, 3);
    put(d->config + PCI_SUBSYSTEM_VENDOR_ID, d->vendor, 2);
    put(d->config + PCI_SUBSYSTEM_ID, d->device, 2);
    d->config[PCI_INTERRUPT_PIN] = d->intx;
    put(d->writable + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
        PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
        PCI_COMMAND_INTX_DISABLE, 2);
    d->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    d->writable[PCI_INTERRUPT_LINE] = 0xff;
}

static void __attribute__((noreturn)) give_up(const char *path)
{
    fprintf(stderr, "vfio-standin: %s: %s\n", path, strerror(errno));
    _exit(1);
}

static void make_directory(char *path)
{
    for (char *p = path + 1; *p; p++) {
        if (*p == '/') {
            *p = '\0';
            mkdir(path, 0755);
            *p = '/';
        }
    }
    if (mkdir(path, 0755) && errno != EEXIST) {
        give_up(path);
    }
}

static FILE *new_file(const char *dir, const char *name)
{
    char path[STANDIN_PATH];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "we");
    if (!f) {
        give_up(path);
    }
    return f;
}

static void attribute(const char *dir, const char *name, const char *format,
                      int value)
{
    FILE *f = new_file(dir, name);

    fprintf(f, format, value);
    fclose(f);
}

static void link_to(const char *dir, const char *name, const char *target)
{
    char path[STANDIN_PATH];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    unlink(path);
    if (symlink(target, path)) {
        give_up(path);
    }
}

static void make_bars(const StandinState *s, StandinDevice *d)
{
    char path[STANDIN_PATH];
    size_t dir_len = snprintf(path, sizeof(path), "%s/%s", s->dir, d->name);

    make_directory(path);
    for (int i = 0; i < STANDIN_BARS; i++) {
        StandinBar *bar = &d->bar[i];
        /* A BAR that is smaller than a page has the page to itself */
        off_t size = bar->size < 65536 ? 65536 : bar->size;

        bar->fd = -1;
        if (!bar->size) {
            continue;
        }
        snprintf(path + dir_len, sizeof(path) - dir_len, "/bar%d", i);
        bar->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (bar->fd < 0 || ftruncate(bar->fd, size)) {
            give_up(path);
        }
    }
}

static void make_irqs(StandinDevice *d)
{
    for (int i = 0; i < STANDIN_IRQS; i++) {
        unsigned n = i == VFIO_PCI_MSIX_IRQ_INDEX ? d->msix : 1;

        d->irq_fd[i] = malloc((n + 1) * sizeof(int));
        memset(d->irq_fd[i], 0xff, (n + 1) * sizeof(int));
    }
}

void standin_device_files(const StandinState *s, StandinDevice *d)
{
    /* Those of several devices may overlap; nobody puts them on one bus */
    Addresses a = { 0x1000, 0x80000000, 1ull << 40 };
    char dir[STANDIN_PATH - 64], target[64];
    FILE *f;

    make_bars(s, d);
    make_irqs(d);
    snprintf(dir, sizeof(dir), "%s/sys/bus/pci/devices/%s", s->dir, d->name);
    make_directory(dir);
    attribute(dir, "vendor", "0x%04x\n", d->vendor);
    attribute(dir, "device", "0x%04x\n", d->device);
    attribute(dir, "class", "0x%06x\n", d->class);
    attribute(dir, "numa_node", "%d\n", d->numa_node);
    snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%d",
             d->group);
    link_to(dir, "iommu_group", target);
    link_to(dir, "driver", "../../drivers/vfio-pci");

    add_header(d);
    add_capabilities(d);
    f = new_file(dir, "resource");
    add_bars(d, a, f);
    fclose(f);
    f = new_file(dir, "config");
    fwrite(d->config, standin_config_size(d), 1, f);
    fclose(f);
}
