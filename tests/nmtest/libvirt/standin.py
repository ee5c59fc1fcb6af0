# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Passthrough devices where there are none: sysfs and /dev as libvirt reads
them, in this mount namespace, and the stand-in for VFIO preloaded in QEMU."""

import os
import subprocess

from nmtools import ToolError

from ..testing import Skip
from ..vfio import make_library
from . import host_cannot

PCI = '/sys/bus/pci/devices'
DRIVER = '/sys/bus/pci/drivers/vfio-pci'
GROUPS = '/sys/kernel/iommu_groups'
# The guide's addresses: NVMe drives and a NIC's virtual function
DEVICES = {'0000:81:00.1': '010802', '0000:01:00.0': '010802',
           '0000:03:10.0': '020000'}
LINE = ('{address} group={group} id=1234:a00{group} class={kind} numa-node=0 '
        'bar0=16K,mem64 msix=4 table=0:0x2000 pba=0:0x3000\n')


def _write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def _config(group, kind):
    """Configuration space: identity, class, and PCI Express with FLR."""
    data = bytearray(4096)
    data[0:4] = (0x1234).to_bytes(2, 'little') \
        + (0xa000 + group).to_bytes(2, 'little')
    data[6] = 0x10                              # there are capabilities
    data[9:12] = bytes.fromhex(kind)[::-1]
    data[0x34] = 0x40
    data[0x40:0x44] = bytes((0x10, 0, 2, 0))    # PCI Express endpoint
    data[0x44:0x48] = (1 << 28).to_bytes(4, 'little')
    return bytes(data)


def _device(folder, address, group, kind):
    base = os.path.join(folder, 'pci', address)
    for name, text in (('vendor', '0x1234\n'), ('class', f'0x{kind}\n'),
                       ('device', f'0x{0xa000 + group:04x}\n'),
                       ('numa_node', '0\n'), ('resource', ''),
                       ('modalias', f'pci:v00001234d0000A00{group}sv00000000'
                        f'sd00000000bc{kind[:2]}sc{kind[2:4]}i{kind[4:]}\n')):
        _write(os.path.join(base, name), text)
    _write(os.path.join(base, 'config'), _config(group, kind))
    os.symlink(DRIVER, os.path.join(base, 'driver'))
    os.symlink(f'{GROUPS}/{group}', os.path.join(base, 'iommu_group'))
    members = os.path.join(folder, 'groups', str(group), 'devices')
    os.makedirs(members)
    os.symlink(f'{PCI}/{address}', os.path.join(members, address))
    os.symlink(f'{PCI}/{address}', os.path.join(folder, 'drivers', 'vfio-pci',
                                                address))
    os.mknod(f'/dev/vfio/{group}', 0o20600, os.makedev(1, 3))


def _bind(source, target):
    done = subprocess.run(['mount', '--bind', source, target], check=False,
                          capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f'mount --bind on {target}: {done.stderr.strip()}')


class StandIn:
    """Once a run: the made-up devices are there until the suite ends."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, 'vfio')
        os.makedirs(os.path.join(self.folder, 'drivers', 'vfio-pci'))
        try:
            self.library = make_library(self.folder)
        except Skip as error:
            raise host_cannot(str(error)) from None
        lines = ''
        for group, (address, kind) in enumerate(DEVICES.items(), 1):
            _device(self.folder, address, group, kind)
            lines += LINE.format(address=address, group=group, kind=kind)
        _write(os.path.join(self.folder, 'devices'), lines)
        # libvirt looks for a variant driver in there
        aliases = f'/usr/lib/modules/{os.uname().release}/modules.alias'
        if not os.path.exists(aliases):
            _write(aliases, '')
        os.mknod('/dev/vfio/vfio', 0o20600, os.makedev(1, 3))
        _bind(os.path.join(self.folder, 'pci'), PCI)
        _bind(os.path.join(self.folder, 'drivers'), '/sys/bus/pci/drivers')
        _bind(os.path.join(self.folder, 'groups'), GROUPS)

    def environment(self):
        """What <qemu:commandline> needs for it."""
        return (f"<qemu:env name='LD_PRELOAD' value='{self.library}'/>"
                f"<qemu:env name='VFIO_STANDIN' value='{self.folder}'/>")
