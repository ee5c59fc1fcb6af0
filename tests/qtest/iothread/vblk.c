/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/processor.h"
#include "qemu/units.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_config.h"
#include "standard-headers/linux/virtio_ids.h"
#include "libqos/generic-pcihost.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"
#include "libqos/virtio-pci.h"
#include "vblk.h"

#define VBLK_SLOT       4
#define VBLK_MAX        32
#define VBLK_TIMEOUT_US (60 * G_USEC_PER_SEC)
#define BLOCK           4096    /* aligned in memory too, as O_DIRECT wants */
#define BLOCK_SECTORS   (BLOCK / 512)

/* Where the parts of a request are, behind its data */
#define HEADER          BLOCK
#define STATUS          (HEADER + sizeof(struct virtio_blk_outhdr))
#define REQUEST_SIZE    (STATUS + 1)

/* hw/arm/virt.c memory map */
#define VIRT_RAM_BASE   0x40000000
#define VIRT_RAM_SIZE   (128 * MiB)

struct VBlk {
    QTestState *qts;
    QGuestAllocator alloc;
    QPCIBus *pc_bus;                /* x86 */
    QGenericPCIBus generic_bus;     /* Arm */
    QVirtioPCIDevice *dev;
    QVirtQueue *vq;
    uint64_t request[VBLK_MAX];     /* page aligned */
};

static bool is_x86(void)
{
    return g_str_equal(qtest_get_arch(), "x86_64");
}

const char *vblk_machine(void)
{
    return is_x86() ? "-machine pc" : "-machine virt -cpu max";
}

static QPCIBus *vblk_bus(VBlk *blk)
{
    if (is_x86()) {
        pc_alloc_init(&blk->alloc, blk->qts, 0);
        blk->pc_bus = qpci_new_pc(blk->qts, &blk->alloc);
        return blk->pc_bus;
    }
    alloc_init(&blk->alloc, 0, VIRT_RAM_BASE, VIRT_RAM_BASE + VIRT_RAM_SIZE,
               4096);
    qpci_init_generic(&blk->generic_bus, blk->qts, &blk->alloc, false);
    return &blk->generic_bus.bus;
}

static void vblk_alloc_requests(VBlk *blk)
{
    struct virtio_blk_outhdr hdr = {
        .type = cpu_to_le32(VIRTIO_BLK_T_IN),
    };

    for (unsigned i = 0; i < VBLK_MAX; i++) {
        blk->request[i] = guest_alloc(&blk->alloc, REQUEST_SIZE);
        /* With gaps, or the device merges them */
        hdr.sector = cpu_to_le64(2 * BLOCK_SECTORS * i);
        qtest_memwrite(blk->qts, blk->request[i] + HEADER, &hdr, sizeof(hdr));
    }
}

VBlk *vblk_new(QTestState *qts)
{
    VBlk *blk = g_new0(VBlk, 1);
    QPCIAddress addr = { .devfn = QPCI_DEVFN(VBLK_SLOT, 0) };
    QVirtioDevice *vdev;
    uint64_t features;

    blk->qts = qts;
    blk->dev = virtio_pci_new(vblk_bus(blk), &addr);
    g_assert_nonnull(blk->dev);
    vdev = &blk->dev->vdev;
    g_assert_cmphex(vdev->device_type, ==, VIRTIO_ID_BLOCK);
    qvirtio_pci_device_enable(blk->dev);
    qvirtio_start_device(vdev);

    /* Without event indexes the used ring's flag says whether to kick */
    features = qvirtio_get_features(vdev);
    features &= ~(QVIRTIO_F_BAD_FEATURE |
                  (1ull << VIRTIO_RING_F_INDIRECT_DESC) |
                  (1ull << VIRTIO_RING_F_EVENT_IDX) |
                  (1ull << VIRTIO_BLK_F_SCSI));
    qvirtio_set_features(vdev, features);
    blk->vq = qvirtqueue_setup(vdev, &blk->alloc, 0);
    qvirtio_set_driver_ok(vdev);

    vblk_alloc_requests(blk);
    return blk;
}

void vblk_free(VBlk *blk)
{
    qvirtqueue_cleanup(blk->dev->vdev.bus, blk->vq, &blk->alloc);
    qvirtio_pci_device_disable(blk->dev);
    g_free(blk->dev->pdev);
    g_free(blk->dev);
    if (blk->pc_bus) {
        qpci_free_pc(blk->pc_bus);
    }
    alloc_destroy(&blk->alloc);
    g_free(blk);
}

/* Puts request @i into the descriptor table and returns its head */
static uint32_t vblk_add(VBlk *blk, unsigned i)
{
    uint64_t request = blk->request[i];
    uint32_t head;

    qtest_writeb(blk->qts, request + STATUS, 0xff);
    head = qvirtqueue_add(blk->qts, blk->vq, request + HEADER,
                          sizeof(struct virtio_blk_outhdr), false, true);
    qvirtqueue_add(blk->qts, blk->vq, request, BLOCK, true, true);
    qvirtqueue_add(blk->qts, blk->vq, request + STATUS, 1, true, false);
    return head;
}

static void vblk_wait(VBlk *blk, unsigned n)
{
    gint64 deadline = g_get_monotonic_time() + VBLK_TIMEOUT_US;

    while (n) {
        if (qvirtqueue_get_buf(blk->qts, blk->vq, NULL, NULL)) {
            n--;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

/* All become visible with one store to the index, as a batching guest does */
static void vblk_make_available(VBlk *blk, const uint32_t *heads, unsigned n)
{
    uint64_t avail = blk->vq->avail;
    uint16_t idx = qtest_readw(blk->qts, avail + 2);

    for (unsigned i = 0; i < n; i++) {
        qtest_writew(blk->qts,
                     avail + 4 + 2 * ((uint16_t)(idx + i) % blk->vq->size),
                     heads[i]);
    }
    qtest_writew(blk->qts, avail + 2, idx + n);
}

/* Nothing is under way: all descriptors are free, from the first one on */
static void vblk_free_all(VBlk *blk)
{
    blk->vq->free_head = 0;
    blk->vq->num_free = blk->vq->size;
}

void vblk_read(VBlk *blk, unsigned n)
{
    QVirtioDevice *vdev = &blk->dev->vdev;
    uint32_t heads[VBLK_MAX];

    g_assert_cmpuint(n, >, 0);
    g_assert_cmpuint(n, <=, VBLK_MAX);

    vblk_free_all(blk);
    for (unsigned i = 0; i < n; i++) {
        heads[i] = vblk_add(blk, i);
    }
    vblk_make_available(blk, heads, n);

    /* A polling device asks not to be kicked */
    if (!(qtest_readw(blk->qts, blk->vq->used) & VRING_USED_F_NO_NOTIFY)) {
        vdev->bus->virtqueue_kick(vdev, blk->vq);
    }
    vblk_wait(blk, n);

    for (unsigned i = 0; i < n; i++) {
        g_assert_cmpuint(qtest_readb(blk->qts, blk->request[i] + STATUS), ==,
                         VIRTIO_BLK_S_OK);
    }
}

/* The last descriptor is one of the status, or one that should not be there */
static void vblk_submit(VBlk *blk, bool write, bool refused, uint64_t sector,
                        const VBlkBuffer *buffers, unsigned n)
{
    QVirtioDevice *vdev = &blk->dev->vdev;
    uint64_t request = blk->request[0];
    struct virtio_blk_outhdr hdr = {
        .type = cpu_to_le32(write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN),
        .sector = cpu_to_le64(sector),
    };
    uint32_t head;

    vblk_free_all(blk);
    qtest_memwrite(blk->qts, request + HEADER, &hdr, sizeof(hdr));
    qtest_writeb(blk->qts, request + STATUS, 0xff);
    head = qvirtqueue_add(blk->qts, blk->vq, request + HEADER, sizeof(hdr),
                          false, true);
    for (unsigned i = 0; i < n; i++) {
        qvirtqueue_add(blk->qts, blk->vq, buffers[i].addr, buffers[i].size,
                       !write, true);
    }
    qvirtqueue_add(blk->qts, blk->vq, request + STATUS, 1, !refused, false);
    vblk_make_available(blk, &head, 1);
    vdev->bus->virtqueue_kick(vdev, blk->vq);
}

void vblk_start(VBlk *blk, bool write, uint64_t sector,
                const VBlkBuffer *buffers, unsigned n)
{
    vblk_submit(blk, write, false, sector, buffers, n);
}

void vblk_refused(VBlk *blk, const VBlkBuffer *buffers, unsigned n)
{
    QVirtioDevice *vdev = &blk->dev->vdev;
    gint64 deadline = g_get_monotonic_time() + VBLK_TIMEOUT_US;

    vblk_submit(blk, false, true, 0, buffers, n);
    while (!(vdev->bus->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

uint8_t vblk_finish(VBlk *blk)
{
    vblk_wait(blk, 1);
    return qtest_readb(blk->qts, blk->request[0] + STATUS);
}

/* Spins until the device has used more than @idx entries */
static bool vblk_spin(struct vring_used *used, uint16_t idx,
                      int64_t timeout_us)
{
    int64_t deadline = g_get_monotonic_time() + timeout_us;

    do {
        for (int i = 0; i < 1000; i++) {
            if (le16_to_cpu(qatomic_read(&used->idx)) != idx) {
                return true;
            }
            cpu_relax();
        }
    } while (g_get_monotonic_time() < deadline);
    return false;
}

/* Makes the next entry of the ring available, and kicks if the device sleeps */
static void vblk_push(VBlk *blk, struct vring_avail *avail,
                      struct vring_used *used, uint16_t idx, uint16_t head)
{
    QVirtioDevice *vdev = &blk->dev->vdev;

    avail->ring[idx % blk->vq->size] = cpu_to_le16(head);
    /* The entry before the index (virtio 1.2, 2.7.13.3) */
    qatomic_store_release(&avail->idx, cpu_to_le16(idx + 1));
    /* The index before the flag is read (virtio 1.2, 2.7.13.4) */
    smp_mb();
    if (!(qatomic_read(&used->flags) & cpu_to_le16(VRING_USED_F_NO_NOTIFY))) {
        vdev->bus->virtqueue_kick(vdev, blk->vq);
    }
}

uint64_t vblk_run(VBlk *blk, void *ram, uint64_t n, int64_t timeout_us)
{
    struct vring_avail *avail = ram + blk->vq->avail;
    struct vring_used *used = ram + blk->vq->used;
    uint16_t idx = le16_to_cpu(avail->idx);
    uint64_t done = 0;
    uint16_t head;

    g_assert_true(is_x86());        /* RAM begins at 0 */
    vblk_free_all(blk);
    head = vblk_add(blk, 0);
    avail->flags = cpu_to_le16(VRING_AVAIL_F_NO_INTERRUPT);
    while (done < n) {
        vblk_push(blk, avail, used, idx, head);
        if (!vblk_spin(used, idx, timeout_us)) {
            break;
        }
        idx++;
        done++;
    }
    blk->vq->last_used_idx = idx;
    avail->flags = 0;
    return done;
}
