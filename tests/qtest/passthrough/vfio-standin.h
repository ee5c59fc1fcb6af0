/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for the kernel's VFIO interface, to be preloaded
 *
 * Copyright (C) 2026 nearmetal contributors
 *
 * With LD_PRELOAD naming this library and VFIO_STANDIN naming a directory, a
 * QEMU process sees the PCI devices that the file "devices" in there
 * describes: in sysfs, and through the legacy group interface of VFIO.
 *
 * A line of "devices" is empty, a comment (#), a setting or a device:
 *
 *   page-size=64K                  what getpagesize() tells
 *   fail=NAME:ERRNO[:COUNT[:SKIP]] the ioctl NAME (VFIO_DEVICE_SET_IRQS) fails
 *                                  COUNT times (once), after SKIP times (0)
 *   0000:01:00.0 KEY=VALUE...      a device; sizes take K, M, G
 *
 *   group=N                        IOMMU group (the device's index + 1)
 *   id=VVVV:DDDD class=CCSSPP      in hexadecimal (1b36:0010 and 010802)
 *   bar0=SIZE[,mem64][,prefetch][,io][,nommap]     and so on until bar5
 *   msix=N                         table entries (none: no MSI-X)
 *   table=BIR:OFFSET pba=BIR:OFFSET        any, also broken ones
 *   mappable=0                     as a kernel that cannot map the table (1)
 *   noresize=1                     as a kernel without dynamic MSI-X (0)
 *   express=0                      a conventional PCI device (1)
 *   intx=0                         without an interrupt pin (1)
 *   numa-node=N                    in sysfs (-1)
 *
 * The directory then gets
 *
 *   ADDRESS/barN                   what is in a BAR, shared with QEMU
 *   sys/bus/pci/devices/ADDRESS/   sysfs
 *   control                        a UNIX socket that takes one line per
 *                                  connection and answers with lines
 *
 * Lines for the socket:
 *
 *   status                         NAME=VALUE lines
 *   fire ADDRESS intx|msi|msix|err|req VECTOR
 *   fail NAME:ERRNO[:COUNT[:SKIP]] as above; COUNT 0 ends it
 *
 * The answer's last line is "ok" or "error: REASON".
 */

#ifndef NEARMETAL_VFIO_STANDIN_H
#define NEARMETAL_VFIO_STANDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define STANDIN_BARS            6
#define STANDIN_IRQS            5       /* VFIO_PCI_NUM_IRQS */
#define STANDIN_DEVICES         16
#define STANDIN_CONFIG_SIZE     4096
#define STANDIN_PATH            4096
#define STANDIN_NAME            16      /* DDDD:BB:DD.F */

/* Like the kernel: the region's index is in the upper bits of an offset */
#define STANDIN_REGION_SHIFT    40

typedef struct StandinBar {
    uint64_t size;
    bool io;
    bool mem64;
    bool prefetch;
    bool nommap;
    int fd;                     /* what it contains */
    uint64_t reads;             /* accesses that were system calls */
    uint64_t writes;
    uint64_t maps;
} StandinBar;

typedef struct StandinDevice {
    char name[STANDIN_NAME];
    int group;
    uint16_t vendor;
    uint16_t device;
    uint32_t class;
    StandinBar bar[STANDIN_BARS];
    unsigned msix;
    uint32_t table;             /* offset and BIR, as in the capability */
    uint32_t pba;
    bool mappable;
    bool noresize;
    bool express;
    bool intx;
    int numa_node;
    uint8_t config[STANDIN_CONFIG_SIZE];
    uint8_t writable[STANDIN_CONFIG_SIZE];
    int *irq_fd[STANDIN_IRQS];  /* eventfds, or -1 */
    unsigned open;              /* descriptors that QEMU has */
} StandinDevice;

typedef struct StandinState {
    const char *dir;
    size_t page_size;           /* 0: the host's own */
    StandinDevice device[STANDIN_DEVICES];
    unsigned devices;
} StandinState;

typedef enum StandinKind {
    STANDIN_CONTAINER,
    STANDIN_GROUP,
    STANDIN_DEVICE,
} StandinKind;

/* A descriptor that QEMU has of us */
typedef struct StandinFd {
    StandinKind kind;
    void *object;
} StandinFd;

/*
 * vfio-standin.c
 *
 * The lock covers everything but descriptors' entries in their table.
 */
void standin_lock(void);
void standin_unlock(void);

/* NULL: this process has none */
StandinState *standin_state(void);

/*
 * Makes the devices' files and opens the socket, once.  Only a process that
 * looks for a device does: not the shell that starts it.
 */
void standin_start(void);

/* Returns: a descriptor, or -1 and errno */
int standin_fd_new(StandinKind kind, void *object);
StandinFd *standin_fd_get(int fd);

/* vfio-standin-config.c; a mistake in the description ends the process */
void standin_config_load(StandinState *s, FILE *file);

/* vfio-standin-files.c */
void standin_device_files(const StandinState *s, StandinDevice *d);
size_t standin_config_size(const StandinDevice *d);

/* vfio-standin-pages.c: bytes in a page, as QEMU is told, and mmap() with it */
size_t standin_page_size(void);
size_t standin_real_page_size(void);
void *standin_map_pages(void *addr, size_t len, int prot, int flags, int fd,
                        off_t at);

/*
 * vfio-standin-iommu.c: containers and groups
 *
 * The ioctl functions return as ioctl() does; the lock is held.
 */
int standin_container_open(void);
int standin_group_open(StandinState *s, int group);
int standin_container_ioctl(void *object, unsigned long request, void *arg);
int standin_group_ioctl(StandinState *s, void *object, unsigned long request,
                        void *arg);
void standin_container_close(void *object);
void standin_group_close(void *object);
void standin_iommu_status(FILE *out);

/* vfio-standin-device.c; the lock is held */
int standin_device_ioctl(StandinDevice *d, unsigned long request, void *arg);
void standin_device_close(StandinDevice *d);
ssize_t standin_device_read(StandinDevice *d, void *buf, size_t len,
                            uint64_t offset);
ssize_t standin_device_write(StandinDevice *d, const void *buf, size_t len,
                             uint64_t offset);
/* Returns: the descriptor to map at *@offset instead, or -1 and errno */
int standin_device_map(StandinDevice *d, size_t len, uint64_t *offset);
void standin_devices_status(const StandinState *s, FILE *out);
const char *standin_fire(StandinDevice *d, const char *index, unsigned vector);

/* vfio-standin-control.c */
void standin_control_start(StandinState *s);
StandinDevice *standin_find(StandinState *s, const char *name);

/* vfio-standin-fail.c; both return false, the latter if there is no failure */
bool standin_fail_add(const char *text);
bool standin_fail(unsigned long request);

#endif /* NEARMETAL_VFIO_STANDIN_H */
