# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Guests of the kit with an init of their own, and firmware for Arm ones."""

import gzip
import os
import subprocess

from . import GuestError, ROOT
from .kit import kit_file
from .testing import Skip

KIT = os.path.join(ROOT, 'tests', 'guest', 'kit')


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
        raise GuestError(done.stderr.strip())
    return done.stdout.strip()


def cpio_entry(name, data, mode):
    """One file of an archive in the format newc."""
    numbers = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    entry = b'070701' + b''.join(b'%08X' % n for n in numbers)
    entry += name.encode() + b'\0'
    entry += bytes(-len(entry) % 4) + data
    return entry + bytes(-len(entry) % 4)


def make_initramfs(arch, folder, init):
    """The kit's files, and tests/guest/kit/INIT, as /INIT, after them."""
    path = os.path.join(folder, f'initramfs-{arch}')
    with open(os.path.join(KIT, init), 'rb') as file:
        own = (cpio_entry(init, file.read(), 0o100755)
               + cpio_entry('TRAILER!!!', b'', 0))
    with open(path, 'wb') as file:
        with open(kit_file(arch, 'initramfs.cpio.gz'), 'rb') as kit:
            file.write(kit.read())
        file.write(gzip.compress(own))
    return path


def text_of(folder, name):
    """What stands in a file; nothing if there is none yet."""
    try:
        with open(os.path.join(folder, name), encoding='utf-8',
                  errors='replace') as file:
            return file.read()
    except FileNotFoundError:
        return ''
