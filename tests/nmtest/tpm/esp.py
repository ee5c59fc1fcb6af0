# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""An EFI system partition with GRUB and the guest that prints its TPM.

It is a folder, which QEMU shows to the guest as a FAT disk: that takes no tools
and no root."""

import os
import shutil

from nmtools import ToolError

from ..kit import Unavailable, kit_file, run_script

PROGRAMS = {'x86_64': 'BOOTX64.EFI', 'aarch64': 'BOOTAA64.EFI'}
# GRUB 2.06's linux of x86 starts the kernel behind its EFI stub's back, and
# the kernel then has no event log: that one has linuxefi
ENVIRONMENT_SIZE = 1024


def tpm_kit_file(arch, name):
    return kit_file('tpm-' + arch, name)


def make_tpm_kit(arch):
    """Make sure that kernel, initramfs and GRUB are there."""
    run_script('../tests/guest/kit/tpm-kit', '--arch', arch)


def grub_config(arch):
    """The same for every command line: GRUB measures this file into PCR 9, the
    command line into PCR 8.  What --skip-sig reads it does not measure."""
    old = os.path.exists(tpm_kit_file(arch, 'linuxefi'))
    linux, initrd = ('linuxefi', 'initrdefi') if old else ('linux', 'initrd')
    return ('load_env --skip-sig --file $prefix/grubenv words\n'
            f'{linux} /vmlinuz $words\n'
            f'{initrd} /initrd.img\n'
            'boot\n')


def environment(words):
    """GRUB's environment block."""
    text = f'# GRUB Environment Block\nwords={words}\n'.encode()
    if len(text) > ENVIRONMENT_SIZE or '\\' in words or '\n' in words:
        raise ToolError(f'not possible as a kernel command line: {words}')
    return text + b'#' * (ENVIRONMENT_SIZE - len(text))


def make_esp(arch, folder, words):
    """The partition's files in a new FOLDER; WORDS for the kernel."""
    boot = os.path.join(folder, 'EFI', 'BOOT')
    os.makedirs(boot)
    for source, target in (
            ('grub.efi', os.path.join(boot, PROGRAMS[arch])),
            ('vmlinuz', os.path.join(folder, 'vmlinuz')),
            ('initramfs.cpio.gz', os.path.join(folder, 'initrd.img'))):
        shutil.copyfile(tpm_kit_file(arch, source), target)
    for name, content in (('grub.cfg', grub_config(arch).encode()),
                          ('grubenv', environment(words))):
        with open(os.path.join(boot, name), 'wb') as file:
            file.write(content)
    return folder


def esp_options(folder):
    """-blockdev and -device of the partition; read-only, so that it is no
    obstacle to migration."""
    path = os.path.abspath(folder).replace(',', ',,')
    return ['-blockdev', 'driver=vvfat,node-name=esp,read-only=on,'
                         f'fat-type=16,dir={path}',
            '-device', 'virtio-blk-pci,drive=esp,bootindex=0']


__all__ = ['Unavailable', 'make_tpm_kit', 'make_esp', 'esp_options',
           'tpm_kit_file']
