# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Initramfs images of guests that do what the kit does not, and firmware."""

import os
import stat
import subprocess
import sys

from nmtools import ToolError

from . import ROOT, shown
from .kit import kit_file
from .testing import Skip

KIT = os.path.join(ROOT, 'tests', 'guest', 'kit')
# What QEMU loads for a guest without display and disks of its own
FIRMWARE = ('bios-256k.bin', 'kvmvapic.bin', 'linuxboot.bin',
            'linuxboot_dma.bin')
SHARES = ('/usr/share/seabios', '/usr/share/qemu', '/usr/share/ovmf')


class Cpio:
    """A newc archive, which the kernel unpacks over what it has."""

    def __init__(self, path):
        self._file = open(path, 'wb')
        self._folders = set()
        self._inode = 0

    def start_from(self, archive):
        """Begin with another archive, compressed or not."""
        with open(archive, 'rb') as file:
            self._file.write(file.read())
        self._pad()

    def _pad(self):
        self._file.write(bytes(-self._file.tell() % 4))

    def _entry(self, name, mode, data=b''):
        self._inode += 1
        name = name.encode() + b'\0'
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                  len(name), 0)
        self._file.write(b'070701' + b''.join(b'%08X' % field
                                              for field in fields) + name)
        self._pad()
        self._file.write(data)
        self._pad()

    def _folder(self, name):
        parent = os.path.dirname(name)
        if name and name not in self._folders:
            self._folder(parent)
            self._folders.add(name)
            self._entry(name, stat.S_IFDIR | 0o755)

    def add(self, name, data, mode=0o644):
        self._folder(os.path.dirname(name))
        self._entry(name, stat.S_IFREG | mode, data)

    def add_file(self, name, path, mode=0o644):
        with open(path, 'rb') as file:
            self.add(name, file.read(), mode)

    def add_modules(self, modules):
        """Name and content of each, in the order to load them in."""
        for name, data in modules.items():
            self.add(f'modules/{name}.ko', data)
        self.add('modules/order',
                 ''.join(f'{name}.ko\n' for name in modules).encode())

    def close(self):
        self._entry('TRAILER!!!', 0)
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_unused):
        self.close()


def arm_firmware():
    """UEFI with which Linux has NUMA; NEARMETAL_EFI_aarch64 names one."""
    named = os.environ.get('NEARMETAL_EFI_aarch64')
    if named:
        return named
    done = subprocess.run([os.path.join(KIT, 'arm-firmware')],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    if done.returncode == 3:
        raise Skip(done.stderr.strip())
    if done.returncode:
        raise ToolError(done.stderr.strip())
    return done.stdout.strip()


def add_firmware(archive, inner, folder='qemu/share'):
    """What QEMU loads, from beside it or from the distribution."""
    beside = os.path.join(os.path.dirname(inner), 'pc-bios')
    for name in FIRMWARE:
        for source in (beside, *SHARES):
            path = os.path.join(source, name)
            if os.path.exists(path):
                archive.add_file(f'{folder}/{name}', path)
                break
        else:
            print(f'note: no {name} for {shown(inner)}', file=sys.stderr)


def make_initramfs(arch, folder, init):
    """The kit's files, and tests/guest/kit/INIT, as /INIT, after them."""
    path = os.path.join(folder, f'initramfs-{arch}')
    with Cpio(path) as archive:
        archive.start_from(kit_file(arch, 'initramfs.cpio.gz'))
        archive.add_file(init, os.path.join(KIT, init), 0o755)
    return path


def text_of(folder, name):
    """What stands in a file; nothing if there is none yet."""
    try:
        with open(os.path.join(folder, name), encoding='utf-8',
                  errors='replace') as file:
            return file.read()
    except FileNotFoundError:
        return ''
