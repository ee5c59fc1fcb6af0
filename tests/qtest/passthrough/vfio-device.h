/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copyright (C) 2026 nearmetal contributors
 *
 * A vfio-pci device as its guest's firmware and driver see it
 *
 * Works with qemu-system-x86_64 (pc and q35) and qemu-system-aarch64 (virt).
 * libqos' functions for PCI take 32-bit addresses; these do BARs of any size,
 * and devices behind a root port.
 */
#ifndef NEARMETAL_QTEST_VFIO_DEVICE_H
#define NEARMETAL_QTEST_VFIO_DEVICE_H

#include "libqtest.h"
#include "hw/pci/pci.h"

typedef struct VfioBar {
    uint64_t address;       /* in the guest's memory */
    uint64_t size;          /* 0: there is none, or an upper half */
    bool io;
    bool mem64;
    bool prefetch;
} VfioBar;

typedef struct VfioArea {
    unsigned bar;
    uint32_t offset;
} VfioArea;

typedef struct VfioDevice {
    QTestState *qts;
    unsigned bus;
    unsigned devfn;
    VfioBar bar[6];
    unsigned msix_cap;      /* 0: no MSI-X */
    unsigned vectors;
    VfioArea table;
    VfioArea pba;
} VfioDevice;

/**
 * vfio_device_new: size and place the BARs of the function at @bus and
 * @devfn, switch it on as a bus master, and read its MSI-X capability
 *
 * There is one device at a time behind each bus but 0, and each bus has its
 * part of the memory: so up to 7 buses.
 */
VfioDevice *vfio_device_new(QTestState *qts, unsigned bus, unsigned devfn);
void vfio_device_free(VfioDevice *dev);

uint32_t vfio_device_config_read(VfioDevice *dev, unsigned offset, int len);
void vfio_device_config_write(VfioDevice *dev, unsigned offset, int len,
                              uint32_t value);

/* 32 bits in a memory BAR */
uint32_t vfio_device_read(VfioDevice *dev, unsigned bar, uint64_t offset);
void vfio_device_write(VfioDevice *dev, unsigned bar, uint64_t offset,
                       uint32_t value);

void vfio_device_msix_enable(VfioDevice *dev);
/* What vector @n writes and where, through the table in the BAR */
void vfio_device_set_vector(VfioDevice *dev, unsigned n, uint64_t address,
                            uint32_t data);
void vfio_device_mask(VfioDevice *dev, unsigned n, bool masked);
bool vfio_device_pending(VfioDevice *dev, unsigned n);

/* An address of the guest's RAM that MSI-X messages can be sent to */
uint64_t vfio_device_mailbox(unsigned n);

/**
 * vfio_port_open: give the bus behind the root port at @devfn of bus 0 a
 * number, memory and power
 */
void vfio_port_open(QTestState *qts, unsigned devfn, unsigned bus);

/* Does what a guest does when it is asked to release the port's device */
void vfio_port_power_off(QTestState *qts, unsigned devfn);

/* Does QEMU's memory map have @region there?  A part of its name will do. */
bool vfio_mapped(QTestState *qts, const char *region, uint64_t address,
                 uint64_t size);

/**
 * vfio_direct: is the memory from @address on a device's, without a trap?
 *
 * An accelerator maps whole host pages of a device (kvm_align_section()): what
 * shares its page with anything emulated traps, too.  The qtest accelerator
 * has no such mappings; this looks at the memory map that they are made from.
 */
bool vfio_direct(QTestState *qts, uint64_t address, uint64_t size,
                 uint64_t page_size);

#endif /* NEARMETAL_QTEST_VFIO_DEVICE_H */
