/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_ids.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"
#include "libqos/virtio-pci.h"
#include "vu-load.h"

#define SLOT        4
#define DEPTH       32
#define CHAIN       3       /* descriptors of a request */
#define TIMEOUT_US  (60 * G_USEC_PER_SEC)
#define WORDS       (VU_LOAD_BLOCK_SIZE / sizeof(uint64_t))

typedef struct Slot {
    bool busy;
    bool is_write;
    unsigned block;
    uint64_t gpa;           /* data, header and status */
} Slot;

struct VuLoad {
    QTestState *qts;
    QGuestAllocator alloc;
    QPCIBus *bus;
    QVirtioPCIDevice *dev;
    QVirtQueue *vq;
    uint8_t *ram;
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    GThread *thread;
    GMutex lock;            /* held while the guest's CPU stands still */

    /* Of the thread */
    GRand *rand;
    Slot slot[DEPTH];
    uint16_t avail_idx, used_idx;
    uint32_t written[VU_LOAD_BLOCKS];
    bool in_use[VU_LOAD_BLOCKS];
    int64_t last;

    /* Atomic */
    bool ending;
    uint64_t completed;
    int64_t longest_gap;
};

static uint64_t word_of(unsigned block, uint32_t generation, unsigned i)
{
    return generation ? ((uint64_t)block << 44) + ((uint64_t)generation << 12)
                        + i : 0;
}

static void fill(void *data, unsigned block, uint32_t generation)
{
    for (unsigned i = 0; i < WORDS; i++) {
        ((uint64_t *)data)[i] = word_of(block, generation, i);
    }
}

static void verify(const void *data, unsigned block, uint32_t generation)
{
    for (unsigned i = 0; i < WORDS; i++) {
        uint64_t found = ((const uint64_t *)data)[i];

        if (found != word_of(block, generation, i)) {
            g_error("block %u, word %u: %" PRIx64 " instead of %" PRIx64,
                    block, i, found, word_of(block, generation, i));
        }
    }
}

static struct virtio_blk_outhdr *header_of(VuLoad *load, Slot *slot)
{
    return (void *)(load->ram + slot->gpa + VU_LOAD_BLOCK_SIZE);
}

static uint8_t *status_of(VuLoad *load, Slot *slot)
{
    return (uint8_t *)(header_of(load, slot) + 1);
}

static void set_desc(VuLoad *load, unsigned i, uint64_t gpa, uint32_t len,
                     uint16_t flags)
{
    load->desc[i] = (struct vring_desc) {
        .addr = cpu_to_le64(gpa),
        .len = cpu_to_le32(len),
        .flags = cpu_to_le16(flags),
        .next = cpu_to_le16(i + 1),
    };
}

static unsigned free_block(VuLoad *load)
{
    unsigned block;

    do {
        block = g_rand_int_range(load->rand, 0, VU_LOAD_BLOCKS);
    } while (load->in_use[block]);
    return block;
}

static void submit(VuLoad *load, unsigned i)
{
    Slot *slot = &load->slot[i];
    uint64_t header = slot->gpa + VU_LOAD_BLOCK_SIZE;
    uint8_t *data = load->ram + slot->gpa;

    slot->busy = true;
    slot->is_write = g_rand_boolean(load->rand);
    slot->block = free_block(load);
    load->in_use[slot->block] = true;
    *header_of(load, slot) = (struct virtio_blk_outhdr) {
        .type = cpu_to_le32(slot->is_write ? VIRTIO_BLK_T_OUT :
                            VIRTIO_BLK_T_IN),
        .sector = cpu_to_le64((uint64_t)slot->block * VU_LOAD_BLOCK_SIZE / 512),
    };
    *status_of(load, slot) = 0xff;
    if (slot->is_write) {
        fill(data, slot->block, ++load->written[slot->block]);
    } else {
        memset(data, 0xa5, VU_LOAD_BLOCK_SIZE);
    }
    set_desc(load, CHAIN * i, header, sizeof(struct virtio_blk_outhdr),
             VRING_DESC_F_NEXT);
    set_desc(load, CHAIN * i + 1, slot->gpa, VU_LOAD_BLOCK_SIZE,
             VRING_DESC_F_NEXT | (slot->is_write ? 0 : VRING_DESC_F_WRITE));
    set_desc(load, CHAIN * i + 2, header + sizeof(struct virtio_blk_outhdr), 1,
             VRING_DESC_F_WRITE);
    load->avail->ring[load->avail_idx++ % load->vq->size] =
        cpu_to_le16(CHAIN * i);
}

static void submit_all(VuLoad *load)
{
    uint16_t before = load->avail_idx;

    for (unsigned i = 0; i < DEPTH; i++) {
        if (!load->slot[i].busy) {
            submit(load, i);
        }
    }
    if (load->avail_idx == before) {
        return;
    }
    qatomic_store_release(&load->avail->idx, cpu_to_le16(load->avail_idx));
    /* The index before the flag is read (virtio 1.2, 2.7.13.4) */
    smp_mb();
    if (!(qatomic_read(&load->used->flags) &
          cpu_to_le16(VRING_USED_F_NO_NOTIFY))) {
        load->dev->vdev.bus->virtqueue_kick(&load->dev->vdev, load->vq);
    }
}

static void complete(VuLoad *load, unsigned head)
{
    Slot *slot = &load->slot[head / CHAIN];

    if (head % CHAIN || head / CHAIN >= DEPTH || !slot->busy) {
        g_error("request %u was completed, which is not under way", head);
    }
    if (*status_of(load, slot) != VIRTIO_BLK_S_OK) {
        g_error("block %u: status %u", slot->block, *status_of(load, slot));
    }
    if (!slot->is_write) {
        verify(load->ram + slot->gpa, slot->block, load->written[slot->block]);
    }
    load->in_use[slot->block] = false;
    slot->busy = false;
}

static bool take_completions(VuLoad *load)
{
    uint16_t idx = le16_to_cpu(qatomic_load_acquire(&load->used->idx));
    int64_t now = g_get_monotonic_time();
    bool any = idx != load->used_idx;

    g_assert_cmpuint((uint16_t)(idx - load->used_idx), <=, DEPTH);
    while (load->used_idx != idx) {
        complete(load, le32_to_cpu(load->used->ring[load->used_idx++ %
                                                    load->vq->size].id));
        qatomic_set(&load->completed, load->completed + 1);
    }
    if (now - load->last > qatomic_read(&load->longest_gap)) {
        qatomic_set(&load->longest_gap, now - load->last);
    }
    if (any) {
        load->last = now;
    }
    if (now - load->last > TIMEOUT_US) {
        g_error("no request has completed for a minute");
    }
    return any;
}

static bool all_done(VuLoad *load)
{
    return load->used_idx == load->avail_idx;
}

static gpointer run(gpointer opaque)
{
    VuLoad *load = opaque;

    load->last = g_get_monotonic_time();
    while (!qatomic_read(&load->ending) || !all_done(load)) {
        g_mutex_lock(&load->lock);
        if (!take_completions(load)) {
            g_usleep(50);
        }
        if (!qatomic_read(&load->ending)) {
            submit_all(load);
        }
        g_mutex_unlock(&load->lock);
    }
    return NULL;
}

static void start_device(VuLoad *load)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(SLOT, 0) };
    QVirtioDevice *vdev;
    uint64_t features;

    pc_alloc_init(&load->alloc, load->qts, 0);
    load->bus = qpci_new_pc(load->qts, &load->alloc);
    load->dev = virtio_pci_new(load->bus, &addr);
    g_assert_nonnull(load->dev);
    vdev = &load->dev->vdev;
    g_assert_cmphex(vdev->device_type, ==, VIRTIO_ID_BLOCK);
    qvirtio_pci_device_enable(load->dev);
    qvirtio_start_device(vdev);
    features = qvirtio_get_features(vdev);
    features &= ~(QVIRTIO_F_BAD_FEATURE |
                  (1ull << VIRTIO_RING_F_INDIRECT_DESC) |
                  (1ull << VIRTIO_RING_F_EVENT_IDX));
    qvirtio_set_features(vdev, features);
    load->vq = qvirtqueue_setup(vdev, &load->alloc, 0);
    g_assert_cmpuint(load->vq->size, >=, CHAIN * DEPTH);
    qvirtio_set_driver_ok(vdev);
}

static void start_queue(VuLoad *load)
{
    start_device(load);
    load->desc = (void *)(load->ram + load->vq->desc);
    load->avail = (void *)(load->ram + load->vq->avail);
    load->used = (void *)(load->ram + load->vq->used);
    load->avail_idx = load->used_idx = 0;
    for (int i = 0; i < DEPTH; i++) {
        load->slot[i].gpa = guest_alloc(&load->alloc, 2 * VU_LOAD_BLOCK_SIZE);
    }
}

static void end_queue(VuLoad *load)
{
    qvirtqueue_cleanup(load->dev->vdev.bus, load->vq, &load->alloc);
    qvirtio_pci_device_disable(load->dev);
    g_free(load->dev->pdev);
    g_free(load->dev);
    qpci_free_pc(load->bus);
    alloc_destroy(&load->alloc);
}

VuLoad *vu_load_start(QTestState *qts, void *ram)
{
    VuLoad *load = g_new0(VuLoad, 1);

    load->qts = qts;
    load->ram = ram;
    load->rand = g_rand_new_with_seed(1);
    g_mutex_init(&load->lock);
    start_queue(load);
    load->thread = g_thread_new("guest", run, load);
    return load;
}

/* What the device had not completed at the reset it has not begun, either */
void vu_load_restart(VuLoad *load)
{
    take_completions(load);
    for (unsigned i = 0; i < DEPTH; i++) {
        Slot *slot = &load->slot[i];

        if (slot->busy) {
            load->written[slot->block] -= slot->is_write;
            load->in_use[slot->block] = false;
            slot->busy = false;
        }
    }
    end_queue(load);
    start_queue(load);
}

void vu_load_pause(VuLoad *load)
{
    g_mutex_lock(&load->lock);
}

void vu_load_resume(VuLoad *load)
{
    g_mutex_unlock(&load->lock);
}

uint64_t vu_load_completed(VuLoad *load)
{
    return qatomic_read(&load->completed);
}

void vu_load_progress(VuLoad *load, unsigned n)
{
    uint64_t end = vu_load_completed(load) + n;

    while (vu_load_completed(load) < end) {
        g_usleep(100);
    }
}

int64_t vu_load_longest_gap(VuLoad *load)
{
    return qatomic_xchg(&load->longest_gap, 0);
}

static void verify_image(VuLoad *load, const char *image)
{
    g_autofree char *data = NULL;
    size_t size;

    g_assert_true(g_file_get_contents(image, &data, &size, NULL));
    g_assert_cmpuint(size, ==, VU_LOAD_BLOCKS * VU_LOAD_BLOCK_SIZE);
    for (unsigned i = 0; i < VU_LOAD_BLOCKS; i++) {
        verify(data + i * VU_LOAD_BLOCK_SIZE, i, load->written[i]);
    }
}

void vu_load_stop(VuLoad *load, const char *image)
{
    qatomic_set(&load->ending, true);
    g_thread_join(load->thread);
    verify_image(load, image);
    end_queue(load);
    g_rand_free(load->rand);
    g_mutex_clear(&load->lock);
    g_free(load);
}
