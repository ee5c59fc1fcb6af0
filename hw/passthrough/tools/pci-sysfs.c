/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pci-sysfs.h"

#define DEVICES "bus/pci/devices"

/* include/linux/ioport.h */
#define RESOURCE_IO             0x00000100
#define RESOURCE_MEM            0x00000200
#define RESOURCE_PREFETCH       0x00002000
#define RESOURCE_MEM_64         0x00100000

/* Configuration space (PCI 3.0, 6.1 and 6.8.2) */
#define CONFIG_HEADER           64
#define CONFIG_STATUS           0x06
#define STATUS_CAP_LIST         0x10
#define CONFIG_HEADER_TYPE      0x0e
#define CONFIG_CAP_POINTER      0x34
#define CAP_MSIX                0x11
#define CAP_MSIX_BYTES          12
/* As many capabilities as fit: a list that is longer is a loop */
#define CAP_MAX                 ((256 - CONFIG_HEADER) / 4)

char *pci_address(const char *text)
{
    g_autoptr(GRegex) regex = g_regex_new(
        "^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])\\.([0-7])$",
        G_REGEX_CASELESS, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_autofree char *domain = NULL, *bus = NULL, *slot = NULL, *fn = NULL;
    g_autofree char *address = NULL;

    if (!g_regex_match(regex, text, 0, &match)) {
        return NULL;
    }
    domain = g_match_info_fetch(match, 1);
    bus = g_match_info_fetch(match, 2);
    slot = g_match_info_fetch(match, 3);
    fn = g_match_info_fetch(match, 4);
    address = g_strdup_printf("%s:%s:%s.%s", *domain ? domain : "0000", bus,
                              slot, fn);
    return g_ascii_strdown(address, -1);
}

static bool parse_hex(char **text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = g_ascii_strtoull(*text, &end, 16);
    if (end == *text || errno || **text == '-') {
        return false;
    }
    *text = end + strspn(end, " \t");
    return true;
}

/*
 * vfio-pci lets memory be mapped in whole pages; a smaller BAR only if it
 * begins a page, whose rest it then reserves
 */
static bool host_maps(uint64_t start, uint64_t size, uint64_t page_size)
{
    return size >= page_size || start % page_size == 0;
}

static bool parse_bar(char *line, uint64_t page_size, MsixBar *bar,
                      uint64_t *begin)
{
    uint64_t start, end, flags;

    if (!parse_hex(&line, &start) || !parse_hex(&line, &end) ||
        !parse_hex(&line, &flags) || *line) {
        return false;
    }
    if (!(flags & (RESOURCE_IO | RESOURCE_MEM))) {
        return true;
    }
    if (end < start || end - start == UINT64_MAX) {
        return false;
    }
    bar->size = end - start + 1;
    if (bar->size & (bar->size - 1)) {
        return false;
    }
    bar->ioport = flags & RESOURCE_IO;
    bar->mem64 = !bar->ioport && (flags & RESOURCE_MEM_64);
    bar->prefetch = !bar->ioport && (flags & RESOURCE_PREFETCH);
    bar->mmap = !bar->ioport && host_maps(start, bar->size, page_size);
    *begin = start;
    return true;
}

/* The rest of a small BAR's page cannot be reserved if another BAR is there */
static void check_neighbours(MsixBar *bar, const uint64_t *begin,
                             uint64_t page_size)
{
    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        for (unsigned k = 0; k < MSIX_PLAN_BARS; k++) {
            if (k != i && bar[i].mmap && bar[i].size < page_size &&
                bar[k].size && !bar[k].ioport &&
                begin[k] - begin[i] < page_size) {
                bar[i].mmap = false;
            }
        }
    }
}

char *pci_parse_resource(const char *text, uint64_t page_size, MsixBar *bar)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", MSIX_PLAN_BARS + 1);
    MsixBar found[MSIX_PLAN_BARS] = {};
    uint64_t begin[MSIX_PLAN_BARS] = {};

    for (unsigned i = 0; i < MSIX_PLAN_BARS; i++) {
        if (i >= g_strv_length(lines) || !*lines[i]) {
            return g_strdup_printf("resource has %u lines; %u or more are "
                                   "expected", i, MSIX_PLAN_BARS);
        }
        if (!parse_bar(lines[i], page_size, &found[i], &begin[i])) {
            g_autofree char *shown = g_strescape(lines[i], NULL);

            return g_strdup_printf("resource, line %u: '%.60s' is no BAR "
                                   "(expected: start, end and flags, in hex, "
                                   "of a power of two bytes)", i + 1, shown);
        }
    }
    check_neighbours(found, begin, page_size);
    memcpy(bar, found, sizeof(found));
    return NULL;
}

static unsigned get16(const uint8_t *p)
{
    return p[0] | p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

/* Where the MSI-X capability is; 0: there is none. Or what is wrong. */
static char *find_msix(const uint8_t *config, size_t len, size_t *pos)
{
    size_t at;

    *pos = 0;
    if (!(config[CONFIG_STATUS] & STATUS_CAP_LIST)) {
        return NULL;
    }
    at = config[CONFIG_CAP_POINTER] & ~3;
    for (int i = 0; at; i++, at = config[at + 1] & ~3) {
        if (at < CONFIG_HEADER || i >= CAP_MAX) {
            return g_strdup_printf("the list of capabilities is broken: %s at "
                                   "0x%zx", at < CONFIG_HEADER ?
                                   "one is in the header," : "it loops", at);
        }
        if (len < at + 2 ||
            (config[at] == CAP_MSIX && len < at + CAP_MSIX_BYTES)) {
            return g_strdup_printf("config has only %zu bytes, and a "
                                   "capability at 0x%zx", len, at);
        }
        if (config[at] == CAP_MSIX) {
            *pos = at;
            return NULL;
        }
    }
    return NULL;
}

char *pci_parse_config(const uint8_t *config, size_t len, PciDevice *dev)
{
    MsixLayout *l = &dev->layout;
    size_t pos;
    char *error;

    if (len < CONFIG_HEADER) {
        return g_strdup_printf("config has only %zu bytes; %d or more are "
                               "expected", len, CONFIG_HEADER);
    }
    dev->vendor = get16(config);
    dev->device = get16(config + 2);
    dev->class_code = get32(config + 8) >> 8;
    /* A VF has ones in the first four bytes, too */
    if (get32(config) == UINT32_MAX && get32(config + 4) == UINT32_MAX) {
        return g_strdup("the device does not answer: config reads as ones");
    }
    dev->bridge = (config[CONFIG_HEADER_TYPE] & 0x7f) != 0;
    l->nvme = dev->class_code == 0x010802;
    if (dev->bridge) {
        return NULL;
    }
    /* What the kernel shows to users other than root */
    if (len == CONFIG_HEADER && (config[CONFIG_STATUS] & STATUS_CAP_LIST)) {
        dev->hidden = true;
        return g_strdup("config has only its first 64 bytes; run this as "
                        "root, or copy sysfs as root");
    }
    error = find_msix(config, len, &pos);
    if (error || !pos) {
        return error;
    }
    l->entries = (get16(config + pos + 2) & 0x7ff) + 1;
    l->table_bar = config[pos + 4] & 7;
    l->table_offset = get32(config + pos + 4) & ~7u;
    l->pba_bar = config[pos + 8] & 7;
    l->pba_offset = get32(config + pos + 8) & ~7u;
    return NULL;
}

/*
 * Devices known to report a wrong place for the PBA, corrected as QEMU's
 * vfio-pci does
 */
static void correct_pba(PciDevice *dev)
{
    MsixLayout *l = &dev->layout;
    uint64_t end = l->pba_offset + msix_pba_size(l->entries);

    if (!l->entries || l->pba_bar >= MSIX_PLAN_BARS ||
        end <= l->bar[l->pba_bar].size) {
        return;
    }
    if (dev->vendor == 0x1425 && (dev->device & 0xff00) == 0x5800) {
        l->pba_offset = 0x1000;     /* Chelsio T5 VFs */
    } else if (dev->vendor == 0x1d22 && dev->device == 0x3685) {
        l->pba_offset = 0xb400;     /* Baidu Kunlun VFs */
    }
}

/* ------------------------------------------------------------------------- */

static char *read_file(const char *folder, const char *name, char **data,
                       gsize *len)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;

    if (g_file_get_contents(path, data, len, &error)) {
        return NULL;
    }
    return g_strdup_printf("cannot read: %s", error->message);
}

static int read_numa_node(const char *folder)
{
    g_autofree char *text = NULL;
    g_autofree char *error = read_file(folder, "numa_node", &text, NULL);
    gint64 node = -1;

    if (!error) {
        g_strchomp(text);
        if (!g_ascii_string_to_signed(text, 10, -1, 65535, &node, NULL)) {
            node = -1;
        }
    }
    return node;
}

static char *read_driver(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "driver", NULL);
    g_autofree char *target = g_file_read_link(path, NULL);
    g_autofree char *name = target ? g_path_get_basename(target) : NULL;

    return name ? g_strescape(name, NULL) : NULL;
}

/* In a VF's own configuration space the identity reads as ones */
static void read_id(const char *folder, const char *name, unsigned *value)
{
    g_autofree char *text = NULL;
    g_autofree char *error = read_file(folder, name, &text, NULL);
    guint64 n;

    if (!error && g_str_has_prefix(text, "0x")) {
        g_strchomp(text);
        if (g_ascii_string_to_unsigned(text + 2, 16, 0, 0xffffff, &n, NULL)) {
            *value = n;
        }
    }
}

static char *read_device(const char *folder, uint64_t page_size, PciDevice *dev)
{
    g_autofree char *config = NULL;
    g_autofree char *resource = NULL;
    gsize len;
    char *error;

    error = read_file(folder, "config", &config, &len);
    if (!error) {
        error = pci_parse_config((uint8_t *)config, len, dev);
    }
    if (error || dev->bridge) {
        return error;
    }
    read_id(folder, "vendor", &dev->vendor);
    read_id(folder, "device", &dev->device);
    read_id(folder, "class", &dev->class_code);
    dev->layout.nvme = dev->class_code == 0x010802;
    error = read_file(folder, "resource", &resource, NULL);
    return error ? error :
           pci_parse_resource(resource, page_size, dev->layout.bar);
}

bool pci_device_exists(const char *root, const char *address)
{
    g_autofree char *folder = g_build_filename(root, DEVICES, address, NULL);

    return g_file_test(folder, G_FILE_TEST_IS_DIR);
}

char *pci_device_read(const char *root, const char *address,
                      uint64_t page_size, PciDevice *dev)
{
    g_autofree char *folder = g_build_filename(root, DEVICES, address, NULL);
    g_autofree char *error = NULL;

    *dev = (PciDevice) { .numa_node = -1 };
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR)) {
        return g_strdup_printf("%s: there is no such device in %s/" DEVICES,
                               address, root);
    }
    error = read_device(folder, page_size, dev);
    if (error) {
        return g_strdup_printf("%s: %s", address, error);
    }
    correct_pba(dev);
    dev->address = g_strdup(address);
    dev->numa_node = read_numa_node(folder);
    dev->driver = read_driver(folder);
    return NULL;
}

void pci_device_clear(PciDevice *dev)
{
    g_clear_pointer(&dev->address, g_free);
    g_clear_pointer(&dev->driver, g_free);
    g_clear_pointer(&dev->model, g_free);
}

static gint compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GPtrArray *pci_device_addresses(const char *root, char **error)
{
    g_autofree char *folder = g_build_filename(root, DEVICES, NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    GPtrArray *all;
    const char *name;

    if (!dir) {
        *error = g_strdup_printf("%s: cannot be read; --sysfs names a folder "
                                 "in the place of /sys", folder);
        return NULL;
    }
    all = g_ptr_array_new_with_free_func(g_free);
    while ((name = g_dir_read_name(dir))) {
        char *address = pci_address(name);

        if (address) {
            g_ptr_array_add(all, address);
        }
    }
    g_ptr_array_sort(all, compare);
    return all;
}
