# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""L0: the machine with the IOMMU and the NVMe controllers, and L1 in it."""

import os
import re

from .. import BOOT_DEADLINE
from ..machine import MACHINES, Machine
from . import PORTS

# What L1 sees of a controller. dbcs=off: with it Linux would leave out most of
# the writes to the doorbells, as no controller in hardware lets it.
CONTROLLERS = (
    {'id': 'plain', 'options': 'max_ioqpairs=64,msix_qsize=65'},
    {'id': 'apart', 'options': 'msix-exclusive-bar=on'},
    {'id': 'small', 'options': 'max_ioqpairs=1,msix_qsize=2'},
)
DISK_SIZE = 16 << 20

# aw-bits: the firmware of L2 may put 64-bit BARs above 512 GiB
PLATFORM = {
    'x86_64': {
        'machine': 'q35,kernel-irqchip=split', 'cpu': 'max', 'memory': 1536,
        'iommu': ['-device', 'intel-iommu,intremap=on,aw-bits=48'],
        'append': 'intel_iommu=on'},
    'aarch64': {
        'machine': 'virt,gic-version=3,iommu=smmuv3',
        'cpu': 'max,pauth-impdef=on', 'memory': 2048, 'iommu': [],
        'append': 'iommu.passthrough=0'},
}


class Outer(Machine):
    """L0 with L1; L2's monitor, console and messages are files here."""

    def __init__(self, qemu, arch, folder, image):
        self.image = image
        for controller in CONTROLLERS:
            with open(self.disk_path(folder, controller), 'wb') as file:
                file.truncate(DISK_SIZE)
        super().__init__(qemu, arch, folder, name='l1',
                         disk=self.disk_path(folder, CONTROLLERS[0]))

    @staticmethod
    def disk_path(folder, controller):
        return os.path.join(folder, f"{controller['id']}.img")

    def command(self, qmp_fd, control_fd):
        kind = PLATFORM[self.arch]
        words = (f"console={MACHINES[self.arch]['console']} nokaslr "
                 'mitigations=off loglevel=4 panic=-1 '
                 f"nearmetal.ports={3 * PORTS + 1} {kind['append']}")
        return [
            self.qemu, '-nodefaults', '-no-user-config', '-display', 'none',
            '-no-reboot', '-m', str(kind['memory']), '-smp', '2',
            '-machine', kind['machine'], '-cpu', kind['cpu'],
            '-accel', 'tcg,thread=multi', *kind['iommu'],
            '-kernel', self.image.vmlinuz, '-initrd', self.image.initramfs,
            '-append', words,
            '-chardev', f'socket,id=qmp,fd={qmp_fd}',
            '-mon', 'chardev=qmp,mode=control',
            '-serial', f'file:{self.name}.console',
            '-chardev', f'socket,id=control,fd={control_fd}',
            '-device', 'virtio-serial-pci,id=serial0',
            '-device', 'virtserialport,bus=serial0.0,chardev=control,'
                       'name=nearmetal.control',
            '-device', 'virtio-serial-pci,id=serial1,max_ports=31',
            *self._ports(), *self._controllers(),
            '-trace', 'pci_nvme_mmio_doorbell_*',
        ]

    @staticmethod
    def _ports():
        words = []
        for number in range(PORTS):
            for kind in ('qmp', 'con'):
                name = f'{kind}.{number}'
                words += ['-chardev', f'socket,id={name},path={name},'
                                      'server=on,wait=off']
            words += ['-chardev', f'file,id=log.{number},path=log.{number}']
            for kind in ('qmp', 'con', 'log'):
                name = f'{kind}.{number}'
                words += ['-device', 'virtserialport,bus=serial1.0,'
                                     f'chardev={name},name={name}']
        return words

    def _controllers(self):
        """Each behind a port of its own, so in a group of its own."""
        words = []
        for number, controller in enumerate(CONTROLLERS):
            name = controller['id']
            words += [
                '-device', f'pcie-root-port,id=port-{name},bus=pcie.0,'
                           f'chassis={number + 1},addr={0x10 + number:#x}',
                '-drive', f'if=none,id=disk-{name},file={name}.img,format=raw'
                          ',cache=unsafe',
                '-device', f'nvme,id={name},serial={name},drive=disk-{name},'
                           f'bus=port-{name},dbcs=off,'
                           + controller['options']]
        return words

    def boot(self):
        self.wait_ready(BOOT_DEADLINE * 2)
        found = re.findall(r'nearmetal-guest: vfio (\S+) group \d+',
                           self.console.text())
        return dict(zip((c['id'] for c in CONTROLLERS), found))

    # --- doorbells ------------------------------------------------------

    def doorbells(self):
        """How often drivers wrote doorbells of I/O queues."""
        with open(self.output, encoding='utf-8', errors='replace') as file:
            return len(re.findall(r'pci_nvme_mmio_doorbell_.q [sc]qid [1-9]',
                                  file.read()))
