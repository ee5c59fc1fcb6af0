# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What of a BAR the guest reaches directly, from QEMU's own words.

TCG maps what it likes; KVM maps whole host pages only (kvm_align_section in
QEMU). So the flat view is judged as KVM would use it on L1's page size.
"""

import re

RANGE = re.compile(r'^\s*([0-9a-f]{16})-([0-9a-f]{16}) '
                   r'\(prio -?\d+, ([\w/]+)\): (.*)$', re.MULTILINE)
ADDED = re.compile(r'vfio_listener_region_add_ram region_add \[ram\] '
                   r'0x([0-9a-f]+) - 0x([0-9a-f]+)')
NOT_ADDED = re.compile(r'vfio_listener_region_add_no_dma_map Region '
                       r'".*BAR (\d).*" 0x([0-9a-f]+) size=0x([0-9a-f]+) '
                       r'is not aligned to 0x([0-9a-f]+)')
DOORBELLS = 0x1000      # NVMe 1.4, 3.1: they begin here in BAR 0


class Ranges:
    """Address ranges, ends excluded."""

    def __init__(self, items=()):
        self.items = sorted(set(items))

    def cover(self, start, end):
        """Is all of it in one of the ranges?"""
        return any(a <= start and end <= b for a, b in self.items)

    def touch(self, start, end):
        return any(a < end and start < b for a, b in self.items)

    def whole_pages(self, size):
        """The whole pages in the ranges."""
        inside = ((-(-a // size) * size, b // size * size)
                  for a, b in self.items)
        return Ranges((a, b) for a, b in inside if a < b)


def mapped(flat_view):
    """Ranges that are the device's own memory, mapped."""
    return Ranges((int(a, 16), int(b, 16) + 1)
                  for a, b, kind, name in RANGE.findall(flat_view)
                  if kind == 'ramd')


def emulated(flat_view, word):
    """Ranges that QEMU emulates, by a word of their name."""
    return Ranges((int(a, 16), int(b, 16) + 1)
                  for a, b, kind, name in RANGE.findall(flat_view)
                  if kind == 'i/o' and word in name)


def added(log):
    """Ranges that QEMU has mapped for DMA."""
    return Ranges((int(a, 16), int(b, 16) + 1) for a, b in ADDED.findall(log))


def not_added(log):
    """Ranges that QEMU could not: not aligned to host pages; and the size."""
    found = NOT_ADDED.findall(log)
    return (Ranges((int(a, 16), int(a, 16) + int(size, 16))
                   for _, a, size, _ in found),
            {int(page, 16) for *_, page in found})


def find_device(buses, device):
    """A device's entry in the answer to query-pci, or None."""
    for entry in buses:
        if entry.get('qdev_id') == device:
            return entry
        below = entry.get('devices') or \
            entry.get('pci_bridge', {}).get('devices')
        found = find_device(below, device) if below else None
        if found:
            return found
    return None


def bars(entry):
    """Number to (address, size) of the memory BARs that have an address."""
    return {region['bar']: (region['address'], region['size'])
            for region in (entry or {}).get('regions', ())
            if region['type'] == 'memory' and region['address'] >= 0}


class View:
    """Where the guest reaches a passed-through controller directly."""

    def __init__(self, inner, device, page):
        self.bars = bars(find_device(inner.cmd('query-pci'), device))
        self.flat = inner.hmp('info mtree -f')
        self.log = inner.log()
        self.page = page
        self.pairs = 1

    def doorbells(self):
        """The range of the doorbells of one I/O queue pair and the admin's."""
        start = self.bars[0][0] + DOORBELLS
        return start, start + 8 * (self.pairs + 1)

    def doorbells_direct(self):
        """As KVM would map them on pages of L1's size."""
        return mapped(self.flat).whole_pages(self.page).cover(
            *self.doorbells())

    def doorbells_added(self):
        """As QEMU has mapped them for DMA."""
        return added(self.log).cover(*self.doorbells())

    def doorbells_refused(self):
        """QEMU said that their range is not aligned to host pages."""
        refused, pages = not_added(self.log)
        return refused.touch(*self.doorbells()) and pages == {self.page}

    def table_bar(self):
        """The BAR that holds the emulated table."""
        tables = emulated(self.flat, 'msix-table')
        found = [number for number, (start, size) in self.bars.items()
                 if tables.touch(start, start + size)]
        return found[0] if len(found) == 1 else None
