/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "pci-save.h"

#define DEVICES "bus/pci/devices"
#define HOST_FILE "msix-check-host"
#define BLOCK 512

/* POSIX.1-1988, "ustar" */
typedef struct TarHeader {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char rest[BLOCK - 265];
} TarHeader;

G_STATIC_ASSERT(sizeof(TarHeader) == BLOCK);

static void seal(TarHeader *h)
{
    unsigned sum = 0;

    memset(h->checksum, ' ', sizeof(h->checksum));
    for (size_t i = 0; i < sizeof(*h); i++) {
        sum += ((unsigned char *)h)[i];
    }
    g_snprintf(h->checksum, sizeof(h->checksum), "%06o", sum & 0777777);
}

static void add(GByteArray *tar, const char *name, char type,
                const char *link, const void *data, gsize len)
{
    static const guint8 zeros[BLOCK];
    TarHeader h = { .type = type, .magic = "ustar", .version = { '0', '0' } };

    g_strlcpy(h.name, name, sizeof(h.name));
    g_strlcpy(h.mode, "0000644", sizeof(h.mode));
    g_strlcpy(h.uid, "0000000", sizeof(h.uid));
    g_strlcpy(h.gid, "0000000", sizeof(h.gid));
    g_snprintf(h.size, sizeof(h.size), "%011" PRIo64, (uint64_t)len);
    g_strlcpy(h.mtime, "00000000000", sizeof(h.mtime));
    g_strlcpy(h.link, link ? link : "", sizeof(h.link));
    seal(&h);
    g_byte_array_append(tar, (guint8 *)&h, sizeof(h));
    g_byte_array_append(tar, data, len);
    g_byte_array_append(tar, zeros, (BLOCK - len % BLOCK) % BLOCK);
}

static void add_link(GByteArray *tar, const char *folder, const char *address)
{
    g_autofree char *path = g_build_filename(folder, "driver", NULL);
    g_autofree char *target = g_file_read_link(path, NULL);
    g_autofree char *name = g_build_filename("sys", DEVICES, address, "driver",
                                             NULL);

    if (target) {
        add(tar, name, '2', target, "", 0);
    }
}

static char *add_device(GByteArray *tar, const char *root, const char *address)
{
    static const char *const files[] = {
        "config", "resource", "vendor", "device", "class", "numa_node",
    };
    g_autofree char *folder = g_build_filename(root, DEVICES, address, NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(folder, files[i], NULL);
        g_autofree char *name = g_build_filename("sys", DEVICES, address,
                                                 files[i], NULL);
        g_autofree char *data = NULL;
        g_autoptr(GError) error = NULL;
        gsize len;

        if (g_file_get_contents(path, &data, &len, &error)) {
            add(tar, name, '0', NULL, data, len);
        } else if (i < 2) {
            return g_strdup_printf("%s: cannot read: %s", address,
                                   error->message);
        }
    }
    add_link(tar, folder, address);
    return NULL;
}

char *pci_save(const char *file, const char *root, GPtrArray *addresses,
               const PciHost *host)
{
    g_autoptr(GByteArray) tar = g_byte_array_new();
    g_autofree char *facts = g_strdup_printf("page-size=%" PRIu64
                                             "\nmappable=%d\n",
                                             host->page_size, host->mappable);
    g_autoptr(GError) error = NULL;
    static const guint8 end[2 * BLOCK];

    add(tar, "sys/" HOST_FILE, '0', NULL, facts, strlen(facts));
    for (unsigned i = 0; i < addresses->len; i++) {
        char *fault = add_device(tar, root, addresses->pdata[i]);

        if (fault) {
            return fault;
        }
    }
    g_byte_array_append(tar, end, sizeof(end));
    if (!g_file_set_contents(file, (char *)tar->data, tar->len, &error)) {
        return g_strdup_printf("--save: %s", error->message);
    }
    return NULL;
}

void pci_saved_host(const char *root, PciHost *host)
{
    g_autofree char *path = g_build_filename(root, HOST_FILE, NULL);
    g_autofree char *text = NULL;
    uint64_t size;
    int mappable;

    if (g_file_get_contents(path, &text, NULL, NULL) &&
        sscanf(text, "page-size=%" SCNu64 "\nmappable=%d", &size,
               &mappable) == 2 &&
        size >= 4096 && size <= 1024 * 1024 && !(size & (size - 1))) {
        host->page_size = size;
        host->mappable = mappable;
    }
}
