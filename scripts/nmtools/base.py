# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Which QEMU a program is about: --base NAME, or NEARMETAL_BASE; and which build
of it, NEARMETAL_FEATURES."""

import os
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), '..', '..'))
DEFAULT = '10.0'


def named(arguments):
    """What a command line says, and if it says nothing the environment."""
    for i, word in enumerate(arguments):
        if word == '--':
            break
        if word.startswith('--base='):
            return word.removeprefix('--base=')
        if word == '--base' and i + 1 < len(arguments):
            return arguments[i + 1]
    return os.environ.get('NEARMETAL_BASE') or DEFAULT


# When modules are loaded, since some have their paths from it
BASE = named(sys.argv[1:])
FEATURES = os.environ.get('NEARMETAL_FEATURES') or 'lean'
# For what is started from here
os.environ['NEARMETAL_BASE'] = BASE


def known():
    names = os.listdir(os.path.join(ROOT, 'bases'))
    return sorted(n.removesuffix('.lock') for n in names
                  if n.endswith('.lock'))


def add_option(parser):
    """--base, so that it is explained, and checked."""
    parser.add_argument('--base', metavar='NAME', choices=known(),
                        default=BASE,
                        help=f'base of QEMU (default: {DEFAULT})')


def build_dir(*parts):
    """A path below the build folder of the base, or of its features."""
    if parts[:1] in (('obj',), ('stock-obj',)) and FEATURES != 'lean':
        parts = (FEATURES, *parts)
    return os.path.join(ROOT, 'build', BASE, *parts)
