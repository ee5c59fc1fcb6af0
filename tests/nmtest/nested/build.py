# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The images of L1 and L2, put together from packages and binaries."""

import os
import platform
import subprocess

from nmtools import ToolError
from nmtools.base import BASE, build_dir

from ..initramfs import Cpio, add_firmware
from ..kernel import Kernel, cached_package
from ..kit import Unavailable, find_qemu, kit_file, run_script
from ..program import Program
from ..testing import Skip, need_kit
from . import FOLDER

MODULES = ('virtio_pci', 'virtio_console', 'vfio', 'vfio_iommu_type1',
           'vfio-pci')


def _package_16k():
    """Debian's arm64 kernel with pages of 16 KiB."""
    done = subprocess.run([os.path.join(FOLDER, 'fetch-kernel')], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True)
    if done.returncode == 3:
        raise Skip('the arm64 kernel with 16 KiB pages cannot be fetched')
    if done.returncode:
        raise ToolError('tests/nested/fetch-kernel failed (its output is '
                        'above)')
    return done.stdout.strip()


def fetch_kernel(arch):
    """The package of L1's kernel; L2's is that of the small test guest."""
    need_kit(arch)
    return cached_package(arch) if arch == 'x86_64' else _package_16k()


def cross_paths():
    """The arm64 build and its libraries, as scripts/cross-arm64 has them."""
    folder = build_dir('cross-arm64')
    return (os.path.join(folder, 'obj', 'qemu-system-aarch64'),
            os.path.join(folder, 'sysroot'))


def find_inner(arch, path=None, sysroot=None):
    """The QEMU under test, which runs in L1: its path, and the folder of its
    libraries where these are not this machine's."""
    if arch == platform.machine():
        return find_qemu(arch, path), sysroot or ''
    if path:
        if not os.path.isfile(path):
            raise ToolError(f'{path} does not exist; give --qemu the path of '
                            f'a qemu-system-{arch} that runs on {arch}')
        return os.path.abspath(path), os.path.abspath(
            sysroot or cross_paths()[1])
    if arch != 'aarch64':
        raise Skip(f'there is no cross build for {arch}; give --qemu and '
                   '--sysroot')
    try:
        run_script('cross-arm64', '--base', BASE)
    except Unavailable:
        raise Skip('the arm64 cross compiler and libraries cannot be '
                   'fetched') from None
    return cross_paths()


class Image:
    """The kernel and the initramfs of L1; L2's are in the latter."""

    def __init__(self, arch, folder, package, inner, sysroot):
        kernel = Kernel(package, os.path.join(folder, 'kernel'))
        self.vmlinuz, self.release = kernel.vmlinuz, kernel.release
        self.initramfs = os.path.join(folder, 'l1.initramfs')
        l2_image = os.path.join(folder, 'l2.initramfs')
        kit = kit_file(arch, 'initramfs.cpio.gz')
        with Cpio(l2_image) as archive:
            archive.start_from(kit)
            archive.add_file('init', os.path.join(FOLDER, 'init-l2'), 0o755)
        program = Program(inner, arch, sysroot)
        with Cpio(self.initramfs) as archive:
            archive.start_from(kit)
            archive.add_file('init', os.path.join(FOLDER, 'init-l1'), 0o755)
            self._add_modules(archive, kernel)
            program.add_to(archive, 'qemu')
            add_firmware(archive, inner)
            archive.add_file('l2/vmlinuz', kit_file(arch, 'vmlinuz'))
            archive.add_file('l2/initramfs', l2_image)

    @staticmethod
    def _add_modules(archive, kernel):
        modules = kernel.modules(MODULES)
        if 'vfio_pci' not in modules:
            raise ToolError(f'kernel {kernel.release} has no module vfio-pci')
        archive.add_modules(modules)
