# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A frame for the guest tests: exit 0 passed, 1 failed, 77 skipped."""

import argparse
import os
import sys

from nmtools import ToolError

from . import qemu_binary, session
from .kit import Unavailable, build, check_executable, make_kit

SKIPPED = 77


class Skip(Exception):
    """The test cannot run on this machine; the text says why."""


class Checks:
    """Counts what was checked; a failed check does not end the test."""

    def __init__(self):
        self.failed = 0

    def check(self, good, text, detail=''):
        print(('ok    ' if good else 'FAIL  ') + text
              + (f': {detail}' if detail and not good else ''), flush=True)
        self.failed += not good
        return good


def _qemu(arch, variable, obj, *options):
    named = os.environ.get(f'{variable}_{arch}')
    if named:
        check_executable(named)
        return os.path.abspath(named)
    build(*options)
    return qemu_binary(arch, obj)


def patched_qemu(arch):
    """The patched binary; NEARMETAL_QEMU_<arch> names another one."""
    return _qemu(arch, 'NEARMETAL_QEMU', 'obj')


def stock_qemu(arch):
    """The same without the extensions, or NEARMETAL_STOCK_QEMU_<arch>."""
    return _qemu(arch, 'NEARMETAL_STOCK_QEMU', 'stock-obj', '--stock')


def need_kit(arch):
    try:
        make_kit(arch)
    except Unavailable:
        raise Skip(f'no {arch} kernel: not in the cache and the Debian '
                   'mirror cannot be reached') from None


def run(description, test):
    """Run TEST(checks), a function; never returns."""
    program = os.path.basename(sys.argv[0])
    argparse.ArgumentParser(
        prog=program, description=description,
        epilog='Exit status: 0 passed, 1 failed, 77 skipped.').parse_args()
    session.end_on_signals()
    checks = Checks()
    try:
        test(checks)
    except Skip as reason:
        print(f'skipped: {reason}')
        # What has failed before that has failed
        if not checks.failed:
            sys.exit(SKIPPED)
    except ToolError as error:
        session.complain(program, error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    if checks.failed:
        print(f'{program}: {checks.failed} checks failed')
    sys.exit(1 if checks.failed else 0)
