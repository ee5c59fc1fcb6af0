# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Kernels and their modules, out of packages."""

import glob
import lzma
import os
import re
import subprocess

from nmtools import ToolError

from .kit import kit_file
from .program import output

LINKS = re.compile(rb'\0depends=([^\0]*)\0')


def cached_package(arch):
    """The package that scripts/guest-kit has its kernel from."""
    with open(kit_file(arch, 'version'), encoding='utf-8') as file:
        names = [line.strip() for line in file
                 if line.startswith('linux-image-')]
    cache = os.environ.get('NEARMETAL_CACHE') or os.path.join(
        os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'),
        'nearmetal')
    for path in glob.glob(os.path.join(glob.escape(cache), 'guest', '*', '*')):
        if os.path.basename(path).replace('%3a', ':') == names[0] + '.deb':
            return path
    raise ToolError('the kernel package is not in the cache any more; run '
                    'scripts/guest-kit --refresh')


class Kernel:
    """An unpacked kernel package: its image, and modules by name."""

    def __init__(self, package, folder):
        output('dpkg-deb', '-x', package, folder)
        images = glob.glob(os.path.join(glob.escape(folder),
                                        'boot', 'vmlinuz-*'))
        if not images:
            raise ToolError(f'{package} holds no boot/vmlinuz-*')
        self.vmlinuz = images[0]
        self.release = os.path.basename(images[0])[len('vmlinuz-'):]
        self._files = {}
        for top, _, names in os.walk(folder):
            for name in names:
                if '.ko' in name:
                    self._files[_module(name)] = os.path.join(top, name)

    def modules(self, wanted):
        """Name and content of modules and what they need, in load order;
        what is not there is taken to be built in."""
        found = {}

        def visit(name):
            path = self._files.get(_module(name))
            if path is None or _module(name) in found:
                return
            data = _unpacked(path)
            needs = LINKS.search(data)
            for other in (needs.group(1).decode() if needs else '').split(','):
                visit(other)
            found[_module(name)] = data

        for name in wanted:
            visit(name)
        return found


def _module(name):
    return name.split('.ko')[0].replace('-', '_')


def _unpacked(path):
    if path.endswith('.xz'):
        with lzma.open(path) as file:
            return file.read()
    if path.endswith('.zst'):
        return subprocess.run(['zstd', '-dcq', path], check=True,
                              capture_output=True).stdout
    with open(path, 'rb') as file:
        return file.read()
