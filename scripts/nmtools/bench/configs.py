# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What is compared: a build of QEMU and properties of its IOThread."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from .. import ToolError, WrongArgument
from ..base import build_dir

BUILDS = {'stock': Path(build_dir('stock-obj')),
          'patched': Path(build_dir('obj'))}
# In a build folder, in an installation's prefix, in a folder of binaries
PLACES = {'qemu-system-x86_64': ('.', 'bin'),
          'qemu-storage-daemon': ('storage-daemon', 'bin', '.')}
# The config that others are held against where a target says so
OFF = 'off'


@dataclass(frozen=True)
class Config:
    label: str
    build: Path
    properties: tuple = field(default=())

    def binary(self, name):
        for place in PLACES[name]:
            path = self.build / place / name
            if os.access(path, os.X_OK) and path.is_file():
                return str(path)
        if self.build == BUILDS['stock']:
            remedy = 'run scripts/build --stock'
            if name == 'qemu-storage-daemon':
                remedy = (f'run ninja -C {self.build} '
                          f'storage-daemon/{name}')
        elif self.build == BUILDS['patched']:
            remedy = 'run scripts/build'
        else:
            remedy = 'name a build folder or an installation'
        raise ToolError(f'{self.label}: no {name} in {self.build}; {remedy}')

    def iothread(self, name):
        """Argument of -object."""
        return ','.join(['iothread', f'id={name}', *self.properties])

    @property
    def text(self):
        return ','.join([str(self.build), *self.properties])


def parse(text):
    """LABEL=BUILD[,PROPERTY=VALUE...]"""
    label, sep, rest = text.partition('=')
    build, *properties = rest.split(',')
    if not sep or not label or not build:
        raise WrongArgument(f"--config '{text}': write LABEL=FOLDER"
                            '[,PROPERTY=VALUE...]')
    if label == OFF:
        raise WrongArgument(f"--config '{text}': the label {OFF} is taken; "
                            'choose another')
    if any(c in label for c in '/ \t'):
        raise WrongArgument(f"--config '{text}': no blanks or slashes in a label")
    for prop in properties:
        if '=' not in prop:
            raise WrongArgument(f"--config '{text}': '{prop}' is no "
                                'PROPERTY=VALUE')
    return Config(label, Path(BUILDS.get(build, build)).absolute(),
                  tuple(properties))


def defaults():
    return [Config('stock', BUILDS['stock']),
            Config('patched', BUILDS['patched'])]


def polling_off(reference):
    """@reference with polling off, whatever else it has."""
    rest = tuple(p for p in reference.properties if not p.startswith('poll-'))
    return Config(OFF, reference.build, rest + ('poll-max-ns=0',))
