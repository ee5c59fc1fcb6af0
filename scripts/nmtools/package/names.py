# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What Debian's packages are where there is no apt: names of RPM, and probes.

  python3 -m nmtools.package.names rpm DEBIAN...  what RPM calls them, a line each;
                                                  alternatives with | between
  python3 -m nmtools.package.names lacking DEBIAN...  those that are not there, a
                                                  line each: DEBIAN<tab>what is
                                                  looked for
"""

import functools
import glob
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import namedtuple

from .. import ToolError
from ..command import run

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'names')

# rpm: as the table has it; probe: (kind, what)
Name = namedtuple('Name', 'rpm probe')


@functools.lru_cache(maxsize=None)
def names():
    """The table, by Debian's names."""
    found = {}
    with open(TABLE, encoding='utf-8') as file:
        for line in file:
            words = line.split('#')[0].split()
            if words:
                debian, rpm, probe = words
                found[debian] = Name(rpm, tuple(probe.split(':', 1)))
    return found


def has_module(module):
    """Does pkg-config know a library?"""
    try:
        return not subprocess.run(['pkg-config', '--exists', module],
                                  check=False).returncode
    except FileNotFoundError:
        raise ToolError('there is no pkg-config, without which no library is '
                        'found; scripts/setup installs it') from None


def has_header(header):
    """Does the compiler find a header?"""
    try:
        done = subprocess.run(['cc', '-E', '-o', os.devnull, '-x', 'c', '-'],
                              input=f'#include <{header}>\n', text=True,
                              capture_output=True, check=False)
    except FileNotFoundError:
        raise ToolError('there is no C compiler (cc); scripts/setup installs '
                        'one') from None
    return not done.returncode


def has_program(program):
    path = os.environ.get('PATH', os.defpath) + ':/usr/sbin:/sbin'
    return bool(shutil.which(program, path=path))


def has_firmware(file):
    """Is a file in the folders of NM_FIRMWARE, where QEMU looks for it?"""
    return any(glob.glob(os.path.join(glob.escape(folder), file))
               for folder in os.environ.get('NM_FIRMWARE', '').split())


PROBES = {'pc': has_module, 'header': has_header, 'program': has_program,
          'python': importlib.util.find_spec, 'firmware': has_firmware}


@functools.lru_cache(maxsize=None)
def there(debian):
    """Is what a package of Debian has on this machine?  What the table does not
    know, or has no probe for, is not asked for."""
    name = names().get(debian)
    return (not name or name.probe == ('-',)
            or bool(PROBES[name.probe[0]](name.probe[1])))


def looked_for(debian):
    """What is missing, in words."""
    kind, what = names()[debian].probe
    return {'pc': f'library {what}', 'header': f'<{what}>',
            'python': f'Python module {what}'}.get(kind, what)


def rpm(debian):
    """What RPM calls it; None if it is not needed there."""
    name = names().get(debian)
    return None if not name or name.rpm == '-' else name.rpm


def main(arguments):
    if not arguments or arguments[0] not in ('rpm', 'lacking'):
        sys.exit(__doc__)
    for debian in arguments[1:]:
        if arguments[0] == 'rpm':
            if rpm(debian):
                print(rpm(debian))
        elif not there(debian):
            print(f'{debian}\t{looked_for(debian)}')


if __name__ == '__main__':
    sys.exit(run('names', lambda: main(sys.argv[1:])))
