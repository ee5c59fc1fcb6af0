/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A virtio-blk-pci device on an IOThread, driven by the test
 *
 * Works with qemu-system-x86_64 (pc) and qemu-system-aarch64 (virt).
 */
#ifndef NEARMETAL_QTEST_VBLK_H
#define NEARMETAL_QTEST_VBLK_H

#include "libqtest.h"
#include "libqos/libqos-malloc.h"
#include "libqos/virtio.h"

typedef struct VBlk VBlk;

/* The machine option of this test's target, to be put into a command line */
const char *vblk_machine(void);

/**
 * vblk_new: take the virtio-blk-pci device at PCI slot 4 into service
 * @qts: a machine from vblk_machine()
 */
VBlk *vblk_new(QTestState *qts);
void vblk_free(VBlk *blk);

/**
 * vblk_read: read @n blocks of 4 KiB with a request each
 * @n: up to 32
 *
 * All @n requests are made available before the one kick, and all are waited
 * for.  Asserts that each succeeds.
 */
void vblk_read(VBlk *blk, unsigned n);

/* A buffer where the test wants it: guest physical address, bytes */
typedef struct VBlkBuffer {
    uint64_t addr;
    uint32_t size;
} VBlkBuffer;

/**
 * vblk_start: one request whose data is in the first @n of @buffers
 * @write: from there to the disk, else to there
 * @sector: of 512 bytes
 *
 * One at a time: vblk_finish() comes before the next.
 */
void vblk_start(VBlk *blk, bool write, uint64_t sector,
                const VBlkBuffer *buffers, unsigned n);

/** vblk_finish: wait for it. Returns: its status, VIRTIO_BLK_S_OK or another */
uint8_t vblk_finish(VBlk *blk);

/**
 * vblk_refused: a read whose last descriptor is one that the device reads
 *
 * That is against the order, so that the device wants to be reset: waits for it.
 */
void vblk_refused(VBlk *blk, const VBlkBuffer *buffers, unsigned n);

/**
 * vblk_run: read one block @n times, one request at a time, at native speed
 * @ram: the guest's RAM from address 0 (pc) as this process maps it
 * @timeout_us: gives up when a request takes longer
 *
 * The ring is driven through shared memory.  A device that polls is not kicked;
 * a kick goes the slow way through the test protocol.  Returns: how many
 * requests completed, less than @n after a timeout.
 */
uint64_t vblk_run(VBlk *blk, void *ram, uint64_t n, int64_t timeout_us);

#endif /* NEARMETAL_QTEST_VBLK_H */
