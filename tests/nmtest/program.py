# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Programs of this build that run inside a guest."""

import glob
import os
import re
import subprocess
import tempfile

from nmtools import ToolError


def output(*command):
    """What a command prints."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=False)
    except FileNotFoundError:
        raise ToolError(f'{command[0]} is missing; run scripts/setup') from None
    if done.returncode:
        raise ToolError(f"'{' '.join(command)}' failed: "
                        + done.stderr.strip().split('\n')[-1])
    return done.stdout


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
            raise ToolError(f'{path} is linked statically, which is not '
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
            raise ToolError(f'library {name} of {self.path} is not in '
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
