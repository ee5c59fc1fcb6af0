# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Checks a host of VMs, or a guest from inside, against what VMs near bare
metal need.  One line for each thing found: PASS, WARN, FAIL, or SKIP with the
reason; then what was found, and the remedy.  It changes nothing."""

import argparse
import json
import os
import sys

from .. import command, table
from ..command import printable
from ..qmp import LIBVIRT, Lost, open_monitor
from ..stop import Stop
from . import kvm, libvirt, memory, pci, resctrl, security, tuned, vm
from .host import Host
from .result import FAIL, PASS, SKIP, WARN, Result, count, skipped
from .sysroot import Root, Unreadable

PROGRAM = 'host-check'
CHECKS = (*kvm.CHECKS, *memory.CHECKS, *pci.CHECKS, *tuned.CHECKS,
          *resctrl.CHECKS, *security.CHECKS, *libvirt.CHECKS, *vm.CHECKS)
FUNCTIONS = {name: function for name, _, function in CHECKS}
OF_VM = [name for name, _, _ in vm.CHECKS]
COLOURS = {PASS: '32', WARN: '33', FAIL: '31', SKIP: '36'}
KEYS = ('check', 'subject', 'status', 'value', 'remedy', 'fix', 'data')
VALUE_WIDTH = 60        # a longer one pushes its remedy to the right
EPILOG = '''examples:
  host-check
  host-check --fix libvirt-auth swtpm-state > repair.sh
  host-check --json thp hugepages-1g
  host-check --vm /run/vm1.qmp vm-tuning vm-halt vm-bandwidth
  host-check --sysroot sosreport-host1

JSON is a list of objects: check, subject (a device, a VM, a folder, or ''),
status, value, remedy, fix (shell commands), data (figures, or null).

Exit status: 0 nothing failed, 1 a FAIL or an error, 2 usage.
'''


def parser():
    one = command.Parser(
        prog=PROGRAM, description=__doc__, epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    one.add_argument('checks', nargs='*', metavar='CHECK',
                     help='do these only (see --list)')
    one.add_argument('--list', action='store_true', help='name the checks')
    one.add_argument('--vm', metavar='MONITOR', type=command.address, help='also ask a running VM: '
                     + command.ADDRESS_HELP)
    one.add_argument('--seconds', metavar='N', default=1.0,
                     type=command.number(float, 0.1, 60),
                     help='time between two looks at the counters of the VM '
                     '(default: 1)')
    one.add_argument('--sysroot', metavar='DIR', help='look below DIR, which '
                     'holds copies of /sys, /proc and /etc, and run no '
                     'program: recorded/dmesg is what dmesg prints')
    form = one.add_mutually_exclusive_group()
    form.add_argument('--json', action='store_true', help='print JSON')
    form.add_argument('--fix', action='store_true', help='print the commands '
                      'that mend what is found, run none')
    return one


def parse(arguments):
    one = parser()
    options = one.parse_args(arguments)
    for name in options.checks:
        if name not in FUNCTIONS:
            one.error(f"there is no check '{name}'; --list names them")
    if options.sysroot is not None and not os.path.isdir(options.sysroot):
        one.error(f"--sysroot '{options.sysroot}' is no folder")
    if options.sysroot is not None and (options.vm or '').startswith(LIBVIRT):
        one.error('--sysroot runs no program: give --vm a QMP socket')
    return options


def run_check(name, host):
    """A list of results, always one at least."""
    try:
        found = FUNCTIONS[name](host)
    except Unreadable as reason:
        found = skipped(str(reason))
    except Lost as reason:
        found = skipped(str(reason))
    results = [found] if isinstance(found, Result) else found
    for result in results:
        result.check = name
    return results


def selected(options):
    if options.checks:
        return [name for name in FUNCTIONS if name in options.checks]
    return [name for name in FUNCTIONS if options.vm or name not in OF_VM]


# --- output -----------------------------------------------------------------

def lines_of(results, colour):
    """One line for each result, in columns."""
    rows = [[result.status, printable(f'{result.check} {result.subject}'
                                      .strip()),
             printable(result.value), printable(result.remedy)]
            for result in results]
    first = max(len(row[1]) for row in rows)
    second = min(max(len(row[2]) for row in rows), VALUE_WIDTH)
    lines = []
    for status, name, value, remedy in rows:
        line = f'{name:{first}}  {value:{second}}'
        line += f'  -> {remedy}' if remedy else ''
        lines.append(table.paint(status, COLOURS[status], colour) + '  '
                     + line.rstrip())
    return lines


def summary(results):
    def number(status):
        return sum(result.status == status for result in results)
    return (f'{PROGRAM}: {number(PASS)} passed, '
            f'{count(number(WARN), "warning")}, {number(FAIL)} failed, '
            f'{number(SKIP)} skipped')


def fix_lines(results):
    """A shell script: commands, with what else is to do in comments."""
    lines = ['#!/bin/sh', '# Nothing of this was run.  Read it first.',
             'set -eu']
    for result in results:
        if result.status not in (WARN, FAIL):
            continue
        name = f'{result.check} {result.subject}'.strip()
        lines += ['', '# ' + printable(f'{result.status} {name}: '
                                       f'{result.value}'),
                  '# ' + printable(result.remedy)]
        lines += [printable(one) for one in result.fix]
    return lines


def show(options, results):
    if options.json:
        print(json.dumps([{key: getattr(result, key) for key in KEYS}
                          for result in results], indent=2))
    elif options.fix:
        print('\n'.join(fix_lines(results)))
    else:
        print('\n'.join(lines_of(results, table.colour())))
        print(summary(results))
    sys.stdout.flush()


def report(options, results):
    try:
        show(options, results)
    except BrokenPipeError:
        # Whoever has read enough may still want the status
        command.drop_output()
    return 1 if any(result.status == FAIL for result in results) else 0


def work(options, stop):
    if options.list:
        width = max(map(len, FUNCTIONS))
        print('\n'.join(f'{name:{width}}  {text}' for name, text, _ in CHECKS))
        return 0
    monitor = open_monitor(options.vm, stop) if options.vm else None
    try:
        host = Host(Root(options.sysroot), monitor, options.seconds,
                    stop.sleep)
        results = [result for name in selected(options)
                   for result in run_check(name, host)]
    finally:
        if monitor:
            monitor.close()
    return report(options, results)


def main(arguments=None):
    options = parse(arguments)
    # A name in another encoding is no reason to fail
    if sys.stdout:
        sys.stdout.reconfigure(errors='backslashreplace')
    stop = Stop().install()
    return command.run(PROGRAM, lambda: work(options, stop))
