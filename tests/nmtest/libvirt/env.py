# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What a case works with: domains, disks, huge pages, all taken back."""

import os
import subprocess

from . import host_cannot
from .domain import Domain
from .standin import StandIn

POOLS = '/sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages'


def folder_of_programs(folder):
    """Where qemu-system-* are: in FOLDER itself, be it a build folder or bin,
    or in bin below the prefix of scripts/install."""
    below = os.path.join(folder, 'bin')
    if os.path.exists(os.path.join(below, 'qemu-system-x86_64')) \
            and not os.path.exists(os.path.join(folder, 'qemu-system-x86_64')):
        return below
    return folder


def agent_of(folder):
    """qemu-ga: a build has it in qga, an installed prefix beside the
    emulators."""
    built = os.path.join(folder, 'qga', 'qemu-ga')
    installed = os.path.join(folder, 'qemu-ga')
    return installed if os.path.exists(installed) else built


class Env:
    """The surroundings of one case after the other."""

    def __init__(self, libvirt, qemu_dir, folder):
        self.libvirt, self.qemu_dir, self.folder = libvirt, qemu_dir, folder
        self._undo, self._count = [], 0
        # Numbers of this run, which are not for the document
        self.measured = []
        self._stand_in, self._made = None, {}

    def emulator(self, arch='x86_64'):
        return os.path.join(self.qemu_dir, f'qemu-system-{arch}')

    def domain(self, arch='x86_64', **texts):
        """A domain that is gone when the case is over."""
        self._count += 1
        emulator = texts.pop('emulator', self.emulator(arch))
        made = Domain(self.libvirt, emulator, arch, f'guide{self._count}',
                      **texts)
        self.at_end(made.end)
        return made

    def stand_in(self):
        """Made-up passthrough devices, from the first use on."""
        if not self._stand_in:
            self._stand_in = StandIn(self.folder)
        return self._stand_in

    def once(self, name, make):
        """What MAKE() returns, or the error it raises, for several cases."""
        if name not in self._made:
            try:
                self._made[name] = make(), None
            except Exception as error:  # pylint: disable=broad-except
                self._made[name] = None, error
        made, error = self._made[name]
        if error:
            raise error
        return made

    def at_end(self, function):
        self._undo.append(function)

    def clean(self):
        while self._undo:
            self._undo.pop()()

    def disk(self, mib=16):
        """A raw image; not on tmpfs, since cache='none' wants O_DIRECT."""
        folder = '/var/lib/libvirt/images'
        os.makedirs(folder, exist_ok=True)
        self._count += 1
        path = os.path.join(folder, f'disk{self._count}.raw')
        with open(path, 'wb') as file:
            file.truncate(mib << 20)
        self.at_end(lambda: os.unlink(path))
        return path

    def block_device(self):
        """A block device of the host: a loop device."""
        path = self.disk()
        done = subprocess.run(['losetup', '--show', '-f', path],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise host_cannot('it has no free loop device: '
                              + done.stderr.strip())
        device = done.stdout.strip()
        self.at_end(lambda: subprocess.run(['losetup', '-d', device],
                                           check=False))
        return device

    def huge_pages(self, kib, count):
        """At least COUNT free pages of this size; given back at the end."""
        pool = POOLS.format(kib)
        try:
            before = self._number(pool)
        except OSError:
            raise host_cannot(f'its kernel has no pages of {kib} KiB') \
                from None
        self.at_end(lambda: self._set(pool, before))
        self._set(pool, before + count)
        free = self._number(pool.replace('nr_', 'free_'))
        if free < count:
            raise host_cannot(f'only {free} free pages of {kib} KiB could be '
                              f'reserved, {count} are needed')

    @staticmethod
    def _number(path):
        with open(path, encoding='ascii') as file:
            return int(file.read())

    @staticmethod
    def _set(path, value):
        with open(path, 'w', encoding='ascii') as file:
            file.write(str(value))
