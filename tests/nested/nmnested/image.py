# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Initramfs images: an archive writer, and what goes into them."""

import glob
import lzma
import os
import re
import stat
import subprocess
import tempfile

from nmguest import GuestError

LINKS = re.compile(rb'\0depends=([^\0]*)\0')


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

    def close(self):
        self._entry('TRAILER!!!', 0)
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_unused):
        self.close()


def output(*command):
    """What a command prints."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, check=False)
    if done.returncode:
        raise GuestError(f"'{' '.join(command)}' failed: "
                         + done.stderr.strip().split('\n')[-1])
    return done.stdout


class Kernel:
    """An unpacked kernel package: its image, and modules by name."""

    def __init__(self, package, folder):
        output('dpkg-deb', '-x', package, folder)
        images = glob.glob(os.path.join(glob.escape(folder),
                                        'boot', 'vmlinuz-*'))
        if not images:
            raise GuestError(f'{package} holds no boot/vmlinuz-*')
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


class Program:
    """A program with its loader and libraries, for another machine."""

    def __init__(self, path, arch, sysroot=''):
        self.path = path
        # Beside the libraries: where scripts/cross-arm64 has its tools
        self._tools = [*glob.glob(glob.escape(os.path.dirname(sysroot))
                                  + '/bin/*-strip'), 'strip']
        self._folders = [f'{sysroot}{top}/{name}' for top in ('', '/usr')
                         for name in (f'lib/{arch}-linux-gnu', 'lib64',
                                      'lib')]
        headers = output('readelf', '-Wl', path)
        loader = re.search(r'interpreter: (.*)\]', headers)
        if not loader:
            raise GuestError(f'{path} is linked statically, which is not '
                             'supported here')
        self.loader = os.path.basename(loader.group(1))
        self.libraries = {}
        self._collect(self.loader)
        self._collect_needs(path)

    def _collect_needs(self, path):
        for name in re.findall(r'\(NEEDED\).*\[(.*)\]',
                               output('readelf', '-Wd', path)):
            self._collect(name)

    def _collect(self, name):
        if name in self.libraries:
            return
        for folder in self._folders:
            path = os.path.join(folder, name)
            if os.path.exists(path):
                break
        else:
            raise GuestError(f'library {name} of {self.path} is not in '
                             f'{", ".join(self._folders)}')
        self.libraries[name] = os.path.realpath(path)
        self._collect_needs(self.libraries[name])

    def add_to(self, archive, folder):
        """Put the program, its loader and its libraries into a folder."""
        archive.add(f'{folder}/qemu', _stripped(self.path, self._tools), 0o755)
        for name, path in self.libraries.items():
            archive.add_file(f'{folder}/lib/{name}', path, 0o755)
        # One line: how to start the program
        archive.add(f'{folder}/run', (
            '#!/bin/sh\n'
            f'exec /{folder}/lib/{self.loader} --library-path /{folder}/lib '
            f'/{folder}/qemu "$@"\n').encode(), 0o755)


def _stripped(path, tools):
    """A program's content, without debug information if that can be left."""
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, 'program')
        for tool in tools:
            try:
                done = subprocess.run([tool, '-o', result, path], check=False,
                                      capture_output=True)
            except OSError:
                continue
            if done.returncode == 0:
                path = result
                break
        with open(path, 'rb') as file:
            return file.read()
