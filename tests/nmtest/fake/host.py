# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A made-up host for scripts/host-check: a folder with the files of one."""

import contextlib
import os
import shutil
import struct
import tempfile

from nmtools.hostcheck.host import Host
from nmtools.hostcheck.main import run_check
from nmtools.hostcheck.sysroot import Root

X86 = 'processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vmx {}\n\n'
ARM = 'processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x48\n\n'
NOBODY = 65534
# A column for each field of /proc/net/tcp that is read
LISTEN = '  sl  local_address rem_address   st\n   0: {}:{:04X} {}:0000 0A 0\n'


class FakeHost:
    """Eight CPUs on two nodes, unless FILES say otherwise."""

    def __init__(self, files=None, arch='x86_64', guest=False):
        self.root = tempfile.mkdtemp(prefix='host-check.')
        os.chmod(self.root, 0o755)
        cpu = '/sys/devices/system/cpu/'
        node = '/sys/devices/system/node/'
        self.put({
            '/proc/cpuinfo': ARM if arch == 'aarch64' else
            X86.format('hypervisor' if guest else ''),
            '/proc/cmdline': 'quiet',
            '/proc/mounts': 'sysfs /sys sysfs rw 0 0',
            '/proc/filesystems': 'nodev\tsysfs\n\text4',
            '/sys/kernel': None, '/sys/fs': None, '/sys/module': None,
            cpu + 'online': '0-7', cpu + 'isolated': '',
            node + 'has_memory': '0-1',
            node + 'node0/cpulist': '0-3', node + 'node1/cpulist': '4-7',
            '/etc/passwd': f'root:x:0:0::/:/bin/sh\n'
                           f'tss:x:{os.getuid()}:59::/:/sbin/nologin'})
        if arch == 'aarch64' and not guest:
            self.put({'/sys/class/misc/kvm': None})
        if guest and arch == 'aarch64':
            self.put({'/sys/class/dmi/id/sys_vendor': 'QEMU'})
        self.put(files or {})

    def path(self, name):
        return self.root + name

    def put(self, files):
        """Names with what is in them: a text, bytes, None for a folder, a
        tuple for a link to its first part.  A mode follows a '|'."""
        for name, content in files.items():
            name, _, mode = name.partition('|')
            path = self.path(name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if os.path.islink(path):
                os.unlink(path)
            if content is None:
                os.makedirs(path, exist_ok=True)
            elif isinstance(content, tuple):
                os.symlink(content[0], path)
            else:
                data = (content if isinstance(content, bytes)
                        else f'{content}\n'.encode())
                with open(path, 'wb') as file:
                    file.write(data)
            if mode:
                os.chmod(path, int(mode, 8))

    def vm(self, pid, name='vm1', vcpus=('4', '5'), label=None, more=(),
           threads=()):
        """A QEMU that runs, whose vCPUs may run on these CPUs; THREADS are
        the others, (name, CPUs)."""
        argv = ['/usr/bin/qemu-system-x86_64', '-name',
                f'guest={name},debug-threads=on', *more]
        proc = f'/proc/{pid}/'
        self.put({proc + 'cmdline': '\0'.join(argv).encode() + b'\0'})
        if label:
            self.put({proc + 'attr/current': label.encode() + b'\0'})
        names = ['qemu-system-x86'] + [f'CPU {n}/KVM' for n in
                                       range(len(vcpus))]
        for number, (one, cpus) in enumerate(zip(names, ('0-7', *vcpus))):
            self.put({f'{proc}task/{pid + number}/status':
                      f'Name:\t{one}\nCpus_allowed_list:\t{cpus}'})
        for number, (one, cpus) in enumerate(threads, len(names)):
            self.put({f'{proc}task/{pid + number}/status':
                      f'Name:\t{one}\nCpus_allowed_list:\t{cpus}'})
        return self

    def pci(self, address, code, group=None, node=0, driver='nvme'):
        folder = f'/sys/bus/pci/devices/{address}'
        self.put({folder + '/class': code, folder + '/numa_node': node})
        if driver:
            self.put({folder + '/driver':
                      (f'../../../bus/pci/drivers/{driver}',)})
        if group is not None:
            groups = '/sys/kernel/iommu_groups'
            self.put({folder + '/iommu_group':
                      (f'../../../../kernel/iommu_groups/{group}',),
                      f'{groups}/{group}/devices/{address}': None})
        return self

    def cpuid(self, eax, edx):
        """KVM's leaf, as the module cpuid shows it: a sparse file."""
        path = self.path('/dev/cpu/0/cpuid')
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as file:
            file.seek(0x40000001)
            file.write(struct.pack('<4I', eax, 0, 0, edx))
        return self

    def run(self, check):
        """The results of one check, in this process."""
        return run_check(check, Host(Root(self.root)))

    def run_as_nobody(self, check):
        """Files that only root can read are to be met, also by root."""
        if os.getuid():
            return self.run(check)
        os.seteuid(NOBODY)
        try:
            return self.run(check)
        finally:
            os.seteuid(0)

    def remove(self):
        shutil.rmtree(self.root)


@contextlib.contextmanager
def host(*args, **options):
    one = FakeHost(*args, **options)
    try:
        yield one
    finally:
        one.remove()


def listening(port, address='00000000'):
    """/proc/net/tcp of a host that listens."""
    return LISTEN.format(address, port, address)
