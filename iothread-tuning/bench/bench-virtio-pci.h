/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * Brings virtio-blk-pci devices of a PC into service, and finds their ioeventfd
 */
#ifndef NEARMETAL_BENCH_VIRTIO_PCI_H
#define NEARMETAL_BENCH_VIRTIO_PCI_H

#include "bench-child.h"
#include "bench-disk.h"
#include "bench-qtest.h"
#include "bench-virtqueue.h"

/**
 * virtio_pci_start: take the device in PCI slot @slot of bus 0 into service
 * @vq: initialised; its kick_fd is set
 *
 * The device is virtio 1.0 (disable-legacy=on) and has its backend idle.
 */
void virtio_pci_start(Qtest *qts, const Child *child, Disk *disk,
                      unsigned slot, VirtQueue *vq);

/**
 * virtio_pci_start_bystander: the same with a disk that gets one request only
 *
 * Nobody waits for its answer, which may never come.
 */
void virtio_pci_start_bystander(Qtest *qts, const Child *child, unsigned slot,
                            VirtQueue *vq);

#endif /* NEARMETAL_BENCH_VIRTIO_PCI_H */
