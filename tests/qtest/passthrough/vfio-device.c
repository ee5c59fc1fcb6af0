/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 nearmetal contributors */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "vfio-device.h"

/* hw/arm/virt.c memory map, with highmem */
#define VIRT_ECAM       0x4010000000
#define VIRT_RAM        0x40000000

#define CONFIG_ADDRESS  0xcf8
#define CONFIG_DATA     0xcfc

/* Each bus gets this much below 4 GiB; larger BARs go where there is more */
#define WINDOW          (64 * MiB)
#define HIGH            (1 * TiB)

/* BARs on bus 0 get this much by slot */
#define SLOT_WINDOW     (8 * MiB)

static bool is_x86(void)
{
    return g_str_equal(qtest_get_arch(), "x86_64");
}

static uint64_t window_base(unsigned bus)
{
    return (is_x86() ? 0xc0000000 : 0x10000000) + bus * WINDOW;
}

uint64_t vfio_device_mailbox(unsigned n)
{
    return (is_x86() ? 0 : VIRT_RAM) + 1 * MiB + 4 * n;
}

static uint32_t config_read(QTestState *qts, unsigned bus, unsigned devfn,
                            unsigned offset, int len)
{
    unsigned place = bus << 16 | devfn << 8 | (offset & ~3);
    uint32_t value;

    if (is_x86()) {
        qtest_outl(qts, CONFIG_ADDRESS, 1u << 31 | place);
        value = qtest_inl(qts, CONFIG_DATA);
    } else {
        value = qtest_readl(qts, VIRT_ECAM + (bus << 20) + (devfn << 12) +
                            (offset & ~3));
    }
    return extract32(value, 8 * (offset & 3), 8 * len);
}

static void ecam_write(QTestState *qts, uint64_t address, int len,
                       uint32_t value)
{
    switch (len) {
    case 1:
        qtest_writeb(qts, address, value);
        break;
    case 2:
        qtest_writew(qts, address, value);
        break;
    default:
        qtest_writel(qts, address, value);
    }
}

static void config_write(QTestState *qts, unsigned bus, unsigned devfn,
                         unsigned offset, int len, uint32_t value)
{
    unsigned port = CONFIG_DATA + (offset & 3);

    if (!is_x86()) {
        ecam_write(qts, VIRT_ECAM + (bus << 20) + (devfn << 12) + offset, len,
                   value);
        return;
    }
    qtest_outl(qts, CONFIG_ADDRESS,
               1u << 31 | bus << 16 | devfn << 8 | (offset & ~3));
    switch (len) {
    case 1:
        qtest_outb(qts, port, value);
        break;
    case 2:
        qtest_outw(qts, port, value);
        break;
    default:
        qtest_outl(qts, port, value);
    }
}

static unsigned find_cap(QTestState *qts, unsigned bus, unsigned devfn,
                         uint8_t id)
{
    unsigned at = config_read(qts, bus, devfn, PCI_CAPABILITY_LIST, 1);

    while (at && config_read(qts, bus, devfn, at, 1) != id) {
        at = config_read(qts, bus, devfn, at + 1, 1);
    }
    return at;
}

uint32_t vfio_device_config_read(VfioDevice *dev, unsigned offset, int len)
{
    return config_read(dev->qts, dev->bus, dev->devfn, offset, len);
}

void vfio_device_config_write(VfioDevice *dev, unsigned offset, int len,
                              uint32_t value)
{
    config_write(dev->qts, dev->bus, dev->devfn, offset, len, value);
}

static uint64_t bar_mask(VfioDevice *dev, unsigned offset, bool mem64)
{
    uint64_t mask;

    vfio_device_config_write(dev, offset, 4, ~0u);
    mask = vfio_device_config_read(dev, offset, 4);
    if (!mem64) {
        return mask ? mask | 0xffffffff00000000 : 0;
    }
    vfio_device_config_write(dev, offset + 4, 4, ~0u);
    return mask | (uint64_t)vfio_device_config_read(dev, offset + 4, 4) << 32;
}

static void size_bar(VfioDevice *dev, unsigned n)
{
    unsigned offset = PCI_BASE_ADDRESS_0 + 4 * n;
    uint32_t type = vfio_device_config_read(dev, offset, 4);
    VfioBar *bar = &dev->bar[n];
    uint64_t mask;

    bar->io = type & PCI_BASE_ADDRESS_SPACE_IO;
    bar->mem64 = !bar->io && (type & PCI_BASE_ADDRESS_MEM_TYPE_64);
    bar->prefetch = !bar->io && (type & PCI_BASE_ADDRESS_MEM_PREFETCH);
    mask = bar_mask(dev, offset, bar->mem64);
    mask &= bar->io ? PCI_BASE_ADDRESS_IO_MASK : PCI_BASE_ADDRESS_MEM_MASK;
    bar->size = bar->io ? (uint16_t)-mask : -mask;
}

static void place_bar(VfioDevice *dev, unsigned n, uint64_t *low,
                      uint64_t *high)
{
    unsigned offset = PCI_BASE_ADDRESS_0 + 4 * n;
    VfioBar *bar = &dev->bar[n];
    uint64_t *next = bar->size > SLOT_WINDOW / 2 ? high : low;

    if (bar->io) {
        bar->address = 0x6000 + 0x100 * n;
    } else {
        /* Firmware does not put two BARs into 4 KiB, but into 64 KiB */
        bar->address = ROUND_UP(*next, MAX(bar->size, 4 * KiB));
        *next = bar->address + bar->size;
    }
    g_assert_true(bar->mem64 || bar->address <= UINT32_MAX);
    vfio_device_config_write(dev, offset, 4, bar->address);
    if (bar->mem64) {
        vfio_device_config_write(dev, offset + 4, 4, bar->address >> 32);
    }
}

static void place_bars(VfioDevice *dev)
{
    uint64_t low = window_base(dev->bus);
    uint64_t high = HIGH;

    if (!dev->bus) {
        low += PCI_SLOT(dev->devfn) % 8 * SLOT_WINDOW;
    }
    for (unsigned n = 0; n < 6; n++) {
        size_bar(dev, n);
        if (dev->bar[n].mem64) {
            n++;
        }
    }
    for (unsigned n = 0; n < 6; n++) {
        if (dev->bar[n].size) {
            place_bar(dev, n, &low, &high);
        }
    }
}

static void read_area(VfioDevice *dev, unsigned offset, VfioArea *area)
{
    uint32_t value = vfio_device_config_read(dev, dev->msix_cap + offset, 4);

    area->bar = value & PCI_MSIX_FLAGS_BIRMASK;
    area->offset = value & ~PCI_MSIX_FLAGS_BIRMASK;
}

static void read_msix(VfioDevice *dev)
{
    dev->msix_cap = find_cap(dev->qts, dev->bus, dev->devfn, PCI_CAP_ID_MSIX);
    if (!dev->msix_cap) {
        return;
    }
    dev->vectors = (vfio_device_config_read(dev, dev->msix_cap +
                                            PCI_MSIX_FLAGS, 2) &
                    PCI_MSIX_FLAGS_QSIZE) + 1;
    read_area(dev, PCI_MSIX_TABLE, &dev->table);
    read_area(dev, PCI_MSIX_PBA, &dev->pba);
}

VfioDevice *vfio_device_new(QTestState *qts, unsigned bus, unsigned devfn)
{
    VfioDevice *dev = g_new0(VfioDevice, 1);

    *dev = (VfioDevice) { .qts = qts, .bus = bus, .devfn = devfn };
    g_assert_cmphex(vfio_device_config_read(dev, PCI_VENDOR_ID, 2), !=,
                    0xffff);
    place_bars(dev);
    read_msix(dev);
    vfio_device_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_IO |
                             PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    return dev;
}

void vfio_device_free(VfioDevice *dev)
{
    g_free(dev);
}

static uint64_t bar_address(VfioDevice *dev, unsigned bar, uint64_t offset)
{
    g_assert_cmpuint(bar, <, 6);
    g_assert_false(dev->bar[bar].io);
    g_assert_cmpuint(offset + 4, <=, dev->bar[bar].size);
    return dev->bar[bar].address + offset;
}

uint32_t vfio_device_read(VfioDevice *dev, unsigned bar, uint64_t offset)
{
    return qtest_readl(dev->qts, bar_address(dev, bar, offset));
}

void vfio_device_write(VfioDevice *dev, unsigned bar, uint64_t offset,
                       uint32_t value)
{
    qtest_writel(dev->qts, bar_address(dev, bar, offset), value);
}

void vfio_device_msix_enable(VfioDevice *dev)
{
    vfio_device_config_write(dev, dev->msix_cap + PCI_MSIX_FLAGS, 2,
                             PCI_MSIX_FLAGS_ENABLE);
}

static void write_entry(VfioDevice *dev, unsigned n, unsigned field,
                        uint32_t value)
{
    g_assert_cmpuint(n, <, dev->vectors);
    vfio_device_write(dev, dev->table.bar, (uint64_t)dev->table.offset +
                      n * PCI_MSIX_ENTRY_SIZE + field, value);
}

void vfio_device_set_vector(VfioDevice *dev, unsigned n, uint64_t address,
                            uint32_t data)
{
    write_entry(dev, n, PCI_MSIX_ENTRY_LOWER_ADDR, address);
    write_entry(dev, n, PCI_MSIX_ENTRY_UPPER_ADDR, address >> 32);
    write_entry(dev, n, PCI_MSIX_ENTRY_DATA, data);
}

void vfio_device_mask(VfioDevice *dev, unsigned n, bool masked)
{
    write_entry(dev, n, PCI_MSIX_ENTRY_VECTOR_CTRL,
                masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

bool vfio_device_pending(VfioDevice *dev, unsigned n)
{
    uint32_t word = vfio_device_read(dev, dev->pba.bar,
                                     (uint64_t)dev->pba.offset + n / 32 * 4);

    return word >> n % 32 & 1;
}

static unsigned slot_control(QTestState *qts, unsigned devfn)
{
    unsigned cap = find_cap(qts, 0, devfn, PCI_CAP_ID_EXP);

    g_assert_cmpuint(cap, !=, 0);
    return cap + PCI_EXP_SLTCTL;
}

void vfio_port_open(QTestState *qts, unsigned devfn, unsigned bus)
{
    uint64_t base = window_base(bus), end = base + WINDOW - 1;

    config_write(qts, 0, devfn, PCI_PRIMARY_BUS, 1, 0);
    config_write(qts, 0, devfn, PCI_SECONDARY_BUS, 1, bus);
    config_write(qts, 0, devfn, PCI_SUBORDINATE_BUS, 1, bus);
    config_write(qts, 0, devfn, PCI_MEMORY_BASE, 2, base >> 16);
    config_write(qts, 0, devfn, PCI_MEMORY_LIMIT, 2, end >> 16);
    config_write(qts, 0, devfn, PCI_COMMAND, 2,
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    config_write(qts, 0, devfn, slot_control(qts, devfn), 2,
                 PCI_EXP_SLTCTL_PWR_IND_ON);
}

void vfio_port_power_off(QTestState *qts, unsigned devfn)
{
    config_write(qts, 0, devfn, slot_control(qts, devfn), 2,
                 PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PCC);
}

/* Does a line of "info mtree -f" with @what in it have all of @size? */
static bool covered(char **lines, const char *what, uint64_t address,
                    uint64_t size)
{
    for (int i = 0; lines[i]; i++) {
        uint64_t first, last;

        if (strstr(lines[i], what) &&
            sscanf(lines[i], " %" SCNx64 "-%" SCNx64, &first, &last) == 2 &&
            first <= address && address + size - 1 <= last) {
            return true;
        }
    }
    return false;
}

static char **memory_map(QTestState *qts)
{
    g_autofree char *text = qtest_hmp(qts, "info mtree -f");

    return g_strsplit(text, "\n", -1);
}

bool vfio_mapped(QTestState *qts, const char *region, uint64_t address,
                 uint64_t size)
{
    g_auto(GStrv) lines = memory_map(qts);

    return covered(lines, region, address, size);
}

bool vfio_direct(QTestState *qts, uint64_t address, uint64_t size,
                 uint64_t page_size)
{
    g_auto(GStrv) lines = memory_map(qts);
    uint64_t page = QEMU_ALIGN_DOWN(address, page_size);

    while (page < address + size) {
        if (!covered(lines, ", ramd)", page, page_size)) {
            return false;
        }
        page += page_size;
    }
    return true;
}
