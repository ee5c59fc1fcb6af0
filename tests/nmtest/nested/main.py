# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The command scripts/test-nested."""

import argparse
import os
import shutil
import sys

from nmtools import ToolError
from nmtools.base import add_option
from nmtools.command import Parser

from .. import ARCHES, session
from ..kit import find_qemu
from ..testing import Skip
from .build import Image, fetch_kernel, find_inner
from .cases import Cases
from .outer import CONTROLLERS, Outer
from .results import Results

VALUES = ('off', 'bar0', 'bar2', 'auto')
REQUESTS = 1000

DESCRIPTION = '''\
Tests MSI-X relocation on real VFIO without hardware: QEMU under emulation
provides an IOMMU and NVMe controllers (L0), Debian's kernel in it gives them
to VFIO and runs the QEMU under test (L1), which passes them through to its
guest (L2). Prints a line for each check and a table of what was measured.'''

EPILOG = '''\
x86_64 has pages of 4 KiB, so that doorbells of NVMe never share one with the
MSI-X table. On aarch64 the kernel in L1 has pages of 16 KiB: there they do,
and under KVM each doorbell write traps until the table has been relocated. TCG
maps parts of pages, too: so 'trapped per 1000' is what L0 sees of doorbell
writes, if their host page is not mapped as a whole, and else 0; 'counted' is
what query-vfio-msix counts. The QEMU under test is an arm64 build, which
scripts/cross-arm64 makes.

Exit status: 0 passed, 1 failed, 2 usage, 77 skipped: a package cannot be had.

examples:
  scripts/test-nested --arch x86_64 --quick     about 1 minute
  scripts/test-nested --arch aarch64 --quick    about 5 minutes
  scripts/test-nested                           all, 20 to 40 minutes
'''


def _count(text):
    number = int(text)
    if not 2 <= number <= 4096 or number % 2:
        raise ValueError
    return number


_count.__name__ = 'even number from 2 to 4096'


def parse(arguments):
    parser = Parser(
        prog='test-nested', description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False)
    add_option(parser)
    parser.add_argument('--arch', choices=ARCHES,
                        help='only this machine (default: both)')
    parser.add_argument('--quick', action='store_true',
                        help='memory maps and hotplug, no requests in L2')
    parser.add_argument('--requests', type=_count, default=REQUESTS,
                        metavar='N', help='requests that L2 makes in each '
                        f'case (default: {REQUESTS})')
    parser.add_argument('--json', action='store_true',
                        help='results as JSON on standard output, progress on '
                        'standard error')
    parser.add_argument('--qemu', metavar='PATH', help='QEMU under test '
                        '(default: the build of the project; needs --arch)')
    parser.add_argument('--sysroot', metavar='DIR', help='libraries of an '
                        'arm64 --qemu (default: those of scripts/cross-arm64)')
    parser.add_argument('--outer', metavar='PATH', help='QEMU of L0 (default: '
                        'the build of the project; needs --arch)')
    parser.add_argument('--keep', metavar='DIR', help='copy consoles and '
                        'messages of all machines to DIR')
    options = parser.parse_args(arguments)
    if (options.qemu or options.outer) and not options.arch:
        parser.error('--qemu and --outer need --arch')
    return options


def keep_logs(folder, target):
    os.makedirs(target, exist_ok=True)
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.path.getsize(path) and (
                name.startswith('log.')
                or name.endswith(('.console', '.output'))):
            shutil.copy(path, target)


def run_cases(cases, arch, quick):
    """Without firmware, an Arm machine maps BARs only once Linux runs."""
    names = [controller['id'] for controller in CONTROLLERS]
    cases.attempt(cases.hotplug)
    for value in VALUES:
        if arch == 'x86_64':
            cases.attempt(cases.firmware, value)
        elif quick:
            cases.attempt(cases.linux, value, names)
    if quick:
        return
    for value in VALUES:
        cases.attempt(cases.linux, value,
                      names if arch == 'aarch64' else names[:1])
    if arch == 'x86_64':
        cases.attempt(cases.no_mmap)


def test(arch, options, results, folder):
    package = fetch_kernel(arch)
    inner, sysroot = find_inner(arch, options.qemu, options.sysroot)
    outer_path = find_qemu(arch, options.outer)
    results.say(f'{arch}: making the images')
    image = Image(arch, folder, package, inner, sysroot)
    results.say(f'{arch}: booting L1, kernel {image.release}')
    with Outer(outer_path, arch, folder, image) as outer:
        hosts = outer.boot()
        page = outer.guest('page-size')['bytes']
        results.say(f'{arch}: L1 is up: pages of {page} bytes, '
                    f'{len(hosts)} controllers given to VFIO')
        results.check(len(hosts) == len(CONTROLLERS),
                      f'{arch}: all controllers are given to VFIO', hosts)
        results.check(page == (4096 if arch == 'x86_64' else 16384),
                      f'{arch}: pages of L1 are {page} bytes')
        cases = Cases(outer, hosts, results,
                      0 if options.quick else options.requests)
        try:
            run_cases(cases, arch, options.quick)
            outer.power_off()
        except ToolError as error:
            if not error.log:
                error.log = outer.console.tail()
            raise
        if not cases.has_query and options.qemu:
            results.skip(f'{arch}: query-vfio-msix',
                         'this QEMU does not have the command')
        else:
            results.check(cases.has_query, f'{arch}: QEMU has query-vfio-msix')


def main():
    options = parse(sys.argv[1:])
    session.end_on_signals()
    results = Results(options.json)
    for arch in [options.arch] if options.arch else ARCHES:
        try:
            with session.run_folder() as folder:
                try:
                    test(arch, options, results, folder)
                finally:
                    if options.keep:
                        keep_logs(folder, os.path.join(options.keep, arch))
        except Skip as reason:
            results.skip(arch, str(reason))
        except ToolError as error:
            session.complain('test-nested', error)
            results.check(False, f'{arch}: the machines ran to the end',
                          str(error).split('\n', maxsplit=1)[0])
        except KeyboardInterrupt:
            sys.exit(130)
    sys.exit(results.finish())


if __name__ == '__main__':
    main()
