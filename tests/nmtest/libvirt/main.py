# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The command scripts/test-libvirt."""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from nmtools import ToolError
from nmtools.base import add_option, build_dir
from nmtools.command import Parser

from .. import ROOT, session
from ..distribution import fetched
from . import space
from .cases import CASES
from .daemons import Libvirt
from .document import write_document
from .env import Env, folder_of_programs
from .suite import run_case

DESCRIPTION = '''\
Gives each setting of the best-practice guide to a real libvirt 11, which
starts the patched QEMU with it; checks the effect over QMP and on the host,
and ends it again. libvirt comes from the distribution's packages, unpacked
and not installed, and runs in namespaces of its own: neither the machine's
libvirt nor its VMs are touched. Guests are of type qemu (TCG).'''

EPILOG = '''\
Results: works; libvirt refuses, host cannot, each with the reason; fails. Huge
pages are reserved for the cases that need them and given back.

Exit status: 0 nothing failed, 1 something failed, 2 usage, 77 skipped: not
root, or libvirt cannot be fetched.

examples:
  scripts/test-libvirt                       all cases, some minutes
  scripts/test-libvirt iothreads hugepages-2m
  scripts/test-libvirt --doc docs/guide.md   write the guide's table
'''


def parse(arguments):
    parser = Parser(
        prog='test-libvirt', description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False)
    parser.add_argument('cases', nargs='*', metavar='CASE',
                        help='only these (default: all)')
    add_option(parser)
    parser.add_argument('--list', action='store_true',
                        help='say which cases there are')
    parser.add_argument('--qemu-dir', metavar='DIR',
                        default=build_dir('obj'),
                        help='a build folder, or what scripts/install '
                        'was given as --prefix '
                        "(default: the project's build)")
    parser.add_argument('--json', action='store_true',
                        help='results as JSON on standard output')
    parser.add_argument('--doc', metavar='FILE',
                        help='write the table to FILE; needs all cases')
    parser.add_argument('--keep', metavar='DIR',
                        help="copy the daemons' logs to DIR")
    options = parser.parse_args(arguments)
    options.qemu_dir = folder_of_programs(options.qemu_dir)
    known = {entry.name for entry in CASES}
    for name in options.cases:
        if name not in known:
            parser.error(f"no case '{name}' (see test-libvirt --list)")
    if options.doc and options.cases:
        parser.error('--doc needs all cases; leave out their names')
    return options


def show_list():
    width = max(len(entry.name) for entry in CASES)
    for entry in CASES:
        print(f'{entry.name.ljust(width)}  {entry.section}')


def skip(reason):
    print(f'skipped: {reason}')
    return 77


def check_writable(options):
    """Before the long work: --doc and --keep."""
    for path in filter(None, (options.doc, options.keep)):
        folder = os.path.dirname(os.path.abspath(path))
        if not os.access(path if os.path.exists(path) else folder, os.W_OK):
            raise ToolError(f'{path} cannot be written')


def fetch_distribution():
    """There is no network inside; without it the case says so."""
    try:
        fetched('--running')
    except ToolError as error:
        print(f'note: {error}', file=sys.stderr)


def outside(arguments, options):
    """Check what is needed, then run again in namespaces."""
    check_writable(options)
    if os.getuid():
        return skip('libvirt runs QEMU as a system service; run as root')
    for name in ('x86_64', 'aarch64'):
        path = os.path.join(options.qemu_dir, f'qemu-system-{name}')
        if not os.access(path, os.X_OK):
            raise ToolError(f'{path} is no program; run scripts/build or '
                            'give --qemu-dir')
    kit = subprocess.run([os.path.join(ROOT, 'tests/libvirt/libvirt-kit')],
                         stdout=subprocess.PIPE, text=True, check=False)
    if kit.returncode == 3:
        return skip('libvirt 11 cannot be fetched (reason above)')
    if kit.returncode:
        raise ToolError('libvirt-kit failed (its output is above)')
    if any(entry.name.startswith(('qemu-ga', 'rdm-', 'numatune'))
           for entry in choose(options)):
        # There is no network inside; without a kernel the case says so
        subprocess.run([os.path.join(ROOT, 'scripts/guest-kit'), '--arch',
                        'x86_64'], stdout=sys.stderr, check=False)
    if any(entry.name.startswith('migrate-') for entry in choose(options)):
        fetch_distribution()
    # Short: paths of sockets below it end at 107 characters
    folder = tempfile.mkdtemp(prefix='nm-lv.')
    try:
        return space.enter([sys.executable, '-m', 'nmtest.libvirt.main',
                            *arguments], folder, kit.stdout.strip())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def choose(options):
    return [entry for entry in CASES
            if not options.cases or entry.name in options.cases]


def show(result, out):
    why = ' | '.join([result.why, *result.measured])
    print(f'{result.status:<16} {result.case.name:<23} '
          f'{result.seconds:5.1f}s  {why}', file=out, flush=True)
    for line in result.log.split('\n') if result.log else []:
        print(f'  | {line[:300]}', file=out, flush=True)


def keep_logs(folder, target):
    os.makedirs(target, exist_ok=True)
    for path in (glob.glob(folder + '/*.log') + glob.glob(folder + '/*.err')
                 + glob.glob('/var/log/libvirt/qemu/*.log')):
        shutil.copy(path, target)


def run_all(options, folder):
    out = sys.stderr if options.json else sys.stdout
    libvirt = Libvirt(folder)
    started, results = time.monotonic(), []
    try:
        libvirt.start()
        env = Env(libvirt, os.path.abspath(options.qemu_dir), folder)
        print(f'libvirt {libvirt.version()}', file=out, flush=True)
        for entry in choose(options):
            results.append(run_case(entry, env))
            show(results[-1], out)
        facts = {'libvirt': libvirt.version()}
    finally:
        libvirt.stop()
        if options.keep:
            keep_logs(folder, options.keep)
    facts['seconds'] = round(time.monotonic() - started)
    return facts, results


def inside(options):
    space.end_with_parent()
    folder = space.set_up()
    facts, results = run_all(options, folder)
    failed = [result for result in results if result.failed]
    if options.json:
        print(json.dumps({**facts, 'results': [result.as_dict()
                                               for result in results]},
                         indent=2))
    if options.doc:
        write_document(options.doc, facts, results)
    counts = {}
    for result in results:
        counts[result.status] = counts.get(result.status, 0) + 1
    print(', '.join(f'{count} {status}' for status, count in counts.items()),
          file=sys.stderr)
    return 1 if failed else 0


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    if options.list:
        show_list()
        return 0
    session.end_on_signals()
    try:
        return inside(options) if space.inside() \
            else outside(arguments, options)
    except ToolError as error:
        print(f'test-libvirt: error: {error}', file=sys.stderr)
        for line in error.log.split('\n') if error.log else []:
            print(f'  | {line[:300]}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
