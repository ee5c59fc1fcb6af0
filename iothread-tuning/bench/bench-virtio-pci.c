/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Brings virtio-blk-pci devices into service (virtio 1.2, 3.1 and 4.1)
 */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include "bench-kick.h"
#include "bench-virtio-pci.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
/* Between a PC's RAM and its firmware */
#define BAR_BASE       0xe0000000u
#define BAR_SIZE       0x100000u

/* Features with a number above 31 are in the second word */
#define LOW_FEATURES   ((1u << VIRTIO_RING_F_EVENT_IDX) | \
                        (1u << VIRTIO_RING_F_INDIRECT_DESC))
#define HIGH_FEATURES  (1u << (VIRTIO_F_VERSION_1 - 32))

typedef struct VirtioPci {
    Qtest *qts;
    unsigned slot;
    uint64_t common;            /* address of the common configuration */
} VirtioPci;

static uint32_t config_read(VirtioPci *dev, unsigned reg)
{
    qtest_out32(dev->qts, CONFIG_ADDRESS,
                1u << 31 | dev->slot << 11 | (reg & ~3u));
    return qtest_in32(dev->qts, CONFIG_DATA) >> 8 * (reg & 3);
}

static void config_write(VirtioPci *dev, unsigned reg, uint32_t value)
{
    qtest_out32(dev->qts, CONFIG_ADDRESS, 1u << 31 | dev->slot << 11 | reg);
    qtest_out32(dev->qts, CONFIG_DATA, value);
}

#define COMMON(member) offsetof(struct virtio_pci_common_cfg, member)

static void common_write(VirtioPci *dev, unsigned at, unsigned size,
                         uint64_t value)
{
    qtest_write(dev->qts, dev->common + at, size, value);
}

/* The member of two words: its low half is at @at */
static void common_write_address(VirtioPci *dev, unsigned at, uint64_t value)
{
    common_write(dev, at, 4, (uint32_t)value);
    common_write(dev, at + 4, 4, value >> 32);
}

static void add_status(VirtioPci *dev, uint8_t status)
{
    uint8_t old = qtest_read(dev->qts, dev->common + COMMON(device_status), 1);

    common_write(dev, COMMON(device_status), 1, old | status);
}

/* Maps the BAR that has the common configuration */
static void virtio_pci_map_common(VirtioPci *dev)
{
    unsigned cap = config_read(dev, PCI_CAPABILITY_LIST) & 0xff;
    uint32_t base = BAR_BASE + dev->slot * BAR_SIZE;
    unsigned bar;

    if ((config_read(dev, PCI_VENDOR_ID) & 0xffff) != 0x1af4) {
        bench_die("no virtio device in PCI slot %u", dev->slot);
    }
    while (cap && ((config_read(dev, cap) & 0xff) != PCI_CAP_ID_VNDR ||
                   (config_read(dev, cap + 3) & 0xff) !=
                   VIRTIO_PCI_CAP_COMMON_CFG)) {
        cap = config_read(dev, cap + 1) & 0xff;
    }
    if (!cap) {
        bench_die("the device in PCI slot %u is not virtio 1.0", dev->slot);
    }
    bar = config_read(dev, cap + 4) & 0xff;
    config_write(dev, PCI_BASE_ADDRESS_0 + 4 * bar, base);
    config_write(dev, PCI_BASE_ADDRESS_0 + 4 * bar + 4, 0);
    config_write(dev, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                 PCI_COMMAND_INTX_DISABLE);
    dev->common = base + config_read(dev, cap + 8);
}

static void virtio_pci_negotiate(VirtioPci *dev)
{
    uint32_t low;

    common_write(dev, COMMON(device_status), 1, 0);
    add_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    add_status(dev, VIRTIO_CONFIG_S_DRIVER);
    common_write(dev, COMMON(device_feature_select), 4, 0);
    low = qtest_read(dev->qts, dev->common + COMMON(device_feature), 4);
    if ((low & LOW_FEATURES) != LOW_FEATURES) {
        bench_die("the device has no event indexes or indirect descriptors");
    }
    common_write(dev, COMMON(guest_feature_select), 4, 0);
    common_write(dev, COMMON(guest_feature), 4, LOW_FEATURES);
    common_write(dev, COMMON(guest_feature_select), 4, 1);
    common_write(dev, COMMON(guest_feature), 4, HIGH_FEATURES);
    add_status(dev, VIRTIO_CONFIG_S_FEATURES_OK);
}

static void set_up_queue(VirtioPci *dev, const VirtQueue *vq)
{
    common_write(dev, COMMON(queue_select), 2, 0);
    if (qtest_read(dev->qts, dev->common + COMMON(queue_size), 2) <
        QUEUE_SIZE) {
        bench_die("the device's queue is too small");
    }
    common_write(dev, COMMON(queue_size), 2, QUEUE_SIZE);
    common_write_address(dev, COMMON(queue_desc_lo), vq_desc_guest(vq));
    common_write_address(dev, COMMON(queue_avail_lo), vq_avail_guest(vq));
    common_write_address(dev, COMMON(queue_used_lo), vq_used_guest(vq));
    common_write(dev, COMMON(queue_enable), 2, 1);
}

/* Up to where the queue is set up, and DRIVER_OK */
static void virtio_pci_set_up(Qtest *qts, unsigned slot, const VirtQueue *vq,
                              const Child *child, KickSearch *search)
{
    VirtioPci dev = { .qts = qts, .slot = slot };

    virtio_pci_map_common(&dev);
    virtio_pci_negotiate(&dev);
    set_up_queue(&dev, vq);
    kick_search_begin(search, child);
    add_status(&dev, VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_pci_start(Qtest *qts, const Child *child, Disk *disk,
                      unsigned slot, VirtQueue *vq)
{
    KickSearch search;

    virtio_pci_set_up(qts, slot, vq, child, &search);
    vq->kick_fd = kick_search_end(&search, disk, vq);
}

void virtio_pci_start_bystander(Qtest *qts, const Child *child, unsigned slot,
                            VirtQueue *vq)
{
    KickSearch search;

    virtio_pci_set_up(qts, slot, vq, child, &search);
    kick_search_all(&search, vq);
}
