# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The host, as several checks look at it."""

import functools
import os
import time

from . import cpus
from .sysroot import Unreadable

DMI_NAMES = ('sys_vendor', 'product_name', 'chassis_vendor', 'board_vendor',
             'bios_vendor')
# What VMs call themselves, or are called by their clouds
HYPERVISORS = ('QEMU', 'KVM', 'Amazon EC2', 'Google', 'OpenStack', 'KubeVirt',
               'RHEV', 'oVirt', 'OpenShift Virtualization', 'SeaBIOS', 'VMware',
               'Xen', 'Parallels', 'BHYVE', 'Apple Virtualization',
               'Virtual Machine', 'Nutanix AHV')


class Host:
    """What several checks want to know about the host, looked up once."""

    def __init__(self, root, vm=None, seconds=1.0, wait=time.sleep):
        self.root = root
        self.vm = vm                # a monitor of a running VM
        self.seconds = seconds      # between two looks at a counter
        self.wait = wait

    @functools.cached_property
    def arch(self):
        """Of the host that ROOT shows: x86_64, aarch64 or ''."""
        text = self.cpuinfo
        if 'vendor_id' in text:
            return 'x86_64'
        if 'CPU implementer' in text:
            return 'aarch64'
        return os.uname().machine if self.root.real else ''

    @functools.cached_property
    def cpuinfo(self):
        """That of the first CPU: there may be hundreds."""
        try:
            return self.root.text('/proc/cpuinfo', 16 << 20).split('\n\n')[0]
        except Unreadable:
            return ''

    @functools.cached_property
    def cpu_flags(self):
        for line in self.cpuinfo.split('\n'):
            name, _, words = line.partition(':')
            if name.strip() in ('flags', 'Features'):
                return set(words.split())
        return set()

    @functools.cached_property
    def guest(self):
        """Is this a VM itself?  Arm has no flag for it, but firmware tells."""
        if self.arch == 'x86_64':
            return 'hypervisor' in self.cpu_flags
        if self.device_tree_guest():
            return True
        # QEMU's configuration device, as ACPI has it
        if self.root.present('/sys/bus/acpi/devices/QEMU0002:00'):
            return True
        if self.dmi('product_name').endswith('.metal'):
            return False            # EC2's, which has its vendor's name, too
        return any(self.dmi(name).startswith(HYPERVISORS)
                   for name in DMI_NAMES)

    def dmi(self, name):
        """A name that the firmware gives, '' if it does not."""
        try:
            return self.root.text('/sys/class/dmi/id/' + name)
        except Unreadable:
            return ''

    @functools.cached_property
    def kvm(self):
        """Can VMs run?  Where KVM is built in, as on Arm, its parameters are
        there even if it is not: then only the device tells."""
        if self.root.present('/dev/kvm'):
            return True
        device = '/sys/class/misc'
        if self.root.present(device):
            return self.root.present(device + '/kvm')
        return self.root.present('/sys/module/kvm')

    def device_tree_guest(self):
        """The machine's name on QEMU and kvmtool; KVM's own node."""
        for name in ('compatible', 'hypervisor/compatible'):
            try:
                words = self.root.data('/proc/device-tree/' + name).split(
                    b'\0')
            except Unreadable:
                continue
            if {b'linux,dummy-virt', b'linux,kvm'} & set(words):
                return True
        return False

    @functools.cached_property
    def parameters(self):
        """The kernel's command line; '-' is '_' in names, as to the kernel.
        Unreadable, rather than empty, where it cannot be told."""
        found = {}
        for word in self.root.text('/proc/cmdline').split():
            name, _, value = word.partition('=')
            found[name.replace('-', '_')] = value.strip('"')
        return found

    @functools.cached_property
    def log(self):
        """The kernel's messages, '' if they cannot be read."""
        return self.root.output('dmesg')

    @functools.cached_property
    def online(self):
        return cpus.online(self.root)

    @functools.cached_property
    def nodes(self):
        """Numbers of the NUMA nodes that have memory."""
        return sorted(cpus.cpu_file(
            self.root, '/sys/devices/system/node/has_memory'))

    @functools.cached_property
    def vms(self):
        return cpus.processes(self.root)

    def node_cpus(self, node):
        return cpus.cpu_file(
            self.root, f'/sys/devices/system/node/node{node}/cpulist')
