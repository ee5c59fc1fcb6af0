# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guest's kernel, initramfs and disk, and the scripts that make them."""

import functools
import mmap
import os
import subprocess
import sys

from nmtools import ToolError
from nmtools.base import BASE, build_dir

from . import ROOT, qemu_binary, shown

MIB = 1 << 20
DISK_SIZE = 64 * MIB


class Unavailable(ToolError):
    """Something cannot be fetched: there is no network, or no mirror."""


def run_script(name, *args):
    """Run a script of the project; what it prints goes to stderr."""
    command = [os.path.join(ROOT, 'scripts', name), *args]
    sys.stdout.flush()
    result = subprocess.run(command, stdin=subprocess.DEVNULL,
                            stdout=sys.stderr, check=False)
    if result.returncode:
        text = ' '.join(('scripts/' + name,) + args)
        kind = Unavailable if result.returncode == 3 else ToolError
        raise kind(f'{text} failed (its output is above)')


@functools.lru_cache(maxsize=None)
def build(*args):
    """Bring a build up to date, once in a process."""
    run_script('build', '--base', BASE, *args)


def kit_file(arch, name):
    return os.path.join(ROOT, 'build', 'guest', arch, name)


def make_kit(arch):
    """Make sure that the kernel and the initramfs are there."""
    run_script('guest-kit', '--arch', arch)


def kit_version(arch):
    try:
        with open(kit_file(arch, 'version'), encoding='utf-8') as file:
            lines = file.read().split('\n')
    except OSError:
        return 'unknown'
    names = [line for line in lines if line.startswith('linux-image-')]
    return names[0].split('_')[0] if names else 'unknown'


def python_tree():
    """The folder of QEMU's own Python library, prepared if need be."""
    path = build_dir('tree', 'python')
    if not os.path.isdir(os.path.join(path, 'qemu', 'qmp')):
        run_script('prepare', '--base', BASE)
    return path


def check_executable(path):
    """A binary the user named: an error that says what is wrong with it."""
    if not os.path.exists(path):
        raise ToolError(f'{path} does not exist; give --qemu the path of a '
                        'qemu-system binary, or leave it out')
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        raise ToolError(f'{path} is not an executable file; give --qemu the '
                        'path of a qemu-system binary')
    try:
        version = subprocess.run([path, '--version'], check=False, text=True,
                                 stdin=subprocess.DEVNULL, timeout=60,
                                 capture_output=True).stdout
    except (OSError, subprocess.TimeoutExpired):
        version = ''
    if 'QEMU emulator' not in version:
        raise ToolError(f'{path} is no working QEMU; give --qemu the path '
                        'of a qemu-system binary')


def find_qemu(arch, path=None):
    """The binary to run: the one named, or the one the project builds."""
    if path:
        check_executable(path)
        return os.path.abspath(path)
    run_script('build', '--base', BASE)
    binary = qemu_binary(arch)
    if not os.access(binary, os.X_OK):
        raise ToolError(f'scripts/build made no {shown(binary)}')
    return binary


def make_disk(path):
    """A raw image: a zeroed start for the ticker, then random data."""
    with open(path, 'wb') as file:
        file.write(bytes(MIB))
        for _ in range(DISK_SIZE // MIB - 1):
            file.write(os.urandom(MIB))
        file.flush()
        os.fsync(file.fileno())


def direct_io_works(path):
    """Does the file system take O_DIRECT, which aio=native needs?"""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return False
    try:
        with mmap.mmap(-1, 4096) as buffer:
            return os.preadv(handle, [buffer], 0) == 4096
    except OSError:
        return False
    finally:
        os.close(handle)
