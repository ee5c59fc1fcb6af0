# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Which features the distribution's package of QEMU is built with.

Its debian/control names them: a comment with options of QEMU's configure, and
below it the packages that they need.

  python3 -m nmtools.package.features args CONTROL      options for configure
  python3 -m nmtools.package.features left-out CONTROL  what is missing, a line
                                                        each: options, packages
  python3 -m nmtools.package.features packages CONTROL  all packages, a line each
  python3 -m nmtools.package.features rpm CONTROL       what RPM calls them

On a system without dpkg a package is there if its library is (names).
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple

from .. import ToolError
from ..command import run
from . import names

# Of another build in the same source package
ELSEWHERE = {'libxen-dev'}
# Stands below the last feature, but is for the tests
FIRMWARE = {'seabios', 'qemu-system-data'}
DPKG_DATABASE = '/var/lib/dpkg/status'
# Debian's names of architectures, where they differ from the kernel's
ARCHITECTURES = {'x86_64': 'amd64', 'aarch64': 'arm64', 'ppc64le': 'ppc64el',
                 'loongarch64': 'loong64'}

# options: as debian/control has them; packages: what they need
Feature = namedtuple('Feature', 'options packages')


def matches(words, arch):
    """Is one of WORDS (any: none given) the architecture, as dpkg has them?"""
    def full(word):
        word = word.replace('-any', '-*').replace('any-', '*-')
        return word if '-' in word else f'linux-{word}'
    return not words or any(fnmatch.fnmatchcase(f'linux-{arch}', full(word))
                            for word in words)


def options_of(line, arch):
    """Options in a comment like '# --enable-a --enable-b<tab>amd64 arm64'."""
    text, _, rest = line.lstrip('#').strip().partition('\t')
    words = rest.split('#')[0].split()
    return text.split() if matches(words, arch) else []


def packages_of(line, arch):
    """Names in a line like ' liba-dev [linux-any], libb-dev (>= 1) <!x>,'."""
    for item in filter(None, map(str.strip, line.split(','))):
        found = re.match(r'([\w.+-]+)[^\[<]*(?:\[([^]]*)\])?', item)
        if found and matches((found[2] or '').split(), arch):
            yield found[1]


def features(control, arch):
    """All features of a debian/control, in its order.

    Packages belong to the latest line with options above them: those before it
    need none."""
    found = []
    arch_part = control.partition('\nBuild-Depends-Arch:')[2]
    for line in arch_part.split('\n')[1:]:
        if re.match(r'#\s*--', line):
            options = options_of(line, arch)
            found.append(Feature(options, []))
        elif line.startswith(' ') and found and found[-1].options:
            found[-1].packages.extend(p for p in packages_of(line, arch)
                                      if p not in ELSEWHERE)
        elif re.match(r'[^#\s]', line):
            break
    return [f for f in found if f.options]


def has_dpkg():
    """Does dpkg manage this system?  Others have the program at most."""
    return (bool(shutil.which('dpkg-checkbuilddeps'))
            and os.path.exists(DPKG_DATABASE)
            and os.path.getsize(DPKG_DATABASE) > 0)


def architecture():
    """This machine's, as dpkg calls it."""
    machine = os.uname().machine
    return ARCHITECTURES.get(machine, machine)


def missing(packages):
    """Those of PACKAGES that are not there, by whatever manages this system."""
    if has_dpkg():
        return not_installed(packages)
    return {package for package in packages if not names.there(package)}


def not_installed(packages):
    """Those of PACKAGES, virtual ones as well, that dpkg does not have."""
    done = subprocess.run(
        ['dpkg-checkbuilddeps', '-d', ', '.join(packages), '/dev/null'],
        capture_output=True, text=True, check=False)
    found = re.search(r'[Uu]nmet build dependencies: (.*)', done.stderr)
    if done.returncode and not found:
        raise ToolError(f'dpkg-checkbuilddeps: {done.stderr.strip()}')
    return set(found[1].split()) if found else set()


def split(wanted):
    """What can be built, and what cannot, with the packages that lack."""
    lacking = missing(sorted({p for f in wanted for p in f.packages}
                             - FIRMWARE))
    usable = [f for f in wanted if not lacking & set(f.packages)]
    left_out = [(f.options, sorted(lacking & set(f.packages)))
                for f in wanted if lacking & set(f.packages)]
    return usable, left_out


def without(options):
    """What is said of a feature that cannot be built; audio drivers are looked
    for."""
    return [re.sub('^--enable-', '--disable-', option) for option in options
            if option.startswith('--enable-')]


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in ('args', 'left-out',
                                                   'packages', 'rpm'):
        sys.exit(__doc__)
    what, path = arguments
    with open(path, encoding='utf-8') as file:
        wanted = features(file.read(), architecture())
    packages = dict.fromkeys(p for f in wanted for p in f.packages)
    if what == 'packages':
        print('\n'.join(packages))
        return
    if what == 'rpm':
        print('\n'.join(dict.fromkeys(names.rpm(p) for p in packages
                                      if names.rpm(p) and p not in FIRMWARE)))
        return
    usable, left_out = split(wanted)
    if what == 'args':
        for feature in usable:
            print('\n'.join(feature.options))
        for options, _ in left_out:
            print('\n'.join(without(options)))
    else:
        say = str if has_dpkg() else names.looked_for
        for options, lacking in left_out:
            print(f'{" ".join(options)}: {", ".join(map(say, lacking))}')


if __name__ == '__main__':
    sys.exit(run('features', lambda: main(sys.argv[1:])))
