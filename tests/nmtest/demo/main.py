# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Boots a small Debian guest on the patched QEMU and tunes the IOThread of
its disk while the guest does I/O, showing what each setting does.  Sets up,
builds and fetches what is missing first."""

import argparse
import json
import os
import sys
import time

from nmtools import ToolError, picture, table
from nmtools.base import add_option
from nmtools.command import Parser

from .. import ARCHES, kit, session, shown
from ..machine import Machine
from . import chart, steps

PROGRAM = 'demo'
GOOD, BAD = 32, 31       # green, red
HEADS = ('STEP', 'DEPTH', 'REQUESTED', 'EFFECTIVE', 'IO/S', 'POLL HITS',
         'MISSES', 'BATCH', 'CPU %', '')


def painted(text, code):
    return table.paint(text, code, table.colour())


def say(text):
    print(f'{PROGRAM}: {text}', file=sys.stderr, flush=True)


def seconds(text):
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError('must be from 0.1 to 3600')
    return value


def parse():
    parser = Parser(prog=PROGRAM, description=__doc__, allow_abbrev=False)
    here = os.uname().machine
    add_option(parser)
    parser.add_argument('--arch', choices=ARCHES,
                        default=here if here in ARCHES else 'x86_64',
                        help="the guest (default: this machine's)")
    parser.add_argument('--seconds', type=seconds, default=3.0, metavar='N',
                        help='how long to measure each step (default: 3)')
    parser.add_argument('--accel', choices=('auto', 'tcg', 'kvm'),
                        default='auto',
                        help='auto uses KVM if a guest really runs on it')
    parser.add_argument('--qemu', metavar='PATH',
                        help='run this binary instead of building ours')
    parser.add_argument('--plot', metavar='FILE',
                        help='also draw I/O rate and CPU per step: an .svg '
                             'or .png file')
    parser.add_argument('--json', action='store_true',
                        help='print the results as JSON')
    options = parser.parse_args()
    if options.plot is not None and not options.plot.endswith(picture.FORMATS):
        parser.error('--plot needs a file name that ends with .svg or .png')
    return options


def words(values):
    return ' '.join(f'{key}={value}' for key, value in values.items()) or '-'


def effective(outcome):
    """The values a step asked for, as they are; all of them if none."""
    if outcome.step.refused:
        return words({key: outcome.effective[key]
                      for key in outcome.step.values}) + ' (refused)'
    names = outcome.step.values or outcome.effective
    if not outcome.step.values:
        return ','.join(str(outcome.effective[key]) for key in names)
    return words({key: outcome.effective[key] for key in names})


def row(outcome):
    figures = outcome.figures
    return (outcome.step.name, outcome.step.depth,
            words(outcome.step.values), effective(outcome), figures['iops'],
            figures['poll-hits'], figures['poll-misses'], figures['batch'],
            figures['cpu-percent'], 'FAIL' if outcome.failures else 'ok')


def print_table(outcomes):
    lines = table.value_lines(HEADS, [row(outcome) for outcome in outcomes])
    print(painted(lines[0], 1))
    for line, outcome in zip(lines[1:], outcomes):
        print(painted(line, BAD) if outcome.failures else line)
    print('defaults in the order poll-max-ns, poll-grow, poll-shrink, '
          'aio-max-batch; CPU % is of the IOThread')


def as_json(result, outcomes):
    result['steps'] = [{
        'name': outcome.step.name, 'depth': outcome.step.depth,
        'requested': outcome.step.values, 'effective': outcome.effective,
        'refused': outcome.error or None, 'measured': outcome.figures,
        'failures': outcome.failures} for outcome in outcomes]
    print(json.dumps(result, indent=2))


def measure(options, qemu, folder):
    """Boot the guest and run the steps."""
    accel, why = session.choose_accel(options.accel, qemu, options.arch,
                                      folder)
    say(f'{shown(qemu)}, accelerator {accel} ({why}), '
        f'kernel {kit.kit_version(options.arch)}')
    begin = time.monotonic()
    with Machine(qemu, options.arch, folder, accel=accel,
                 disk_options=steps.DISK_OPTIONS) as machine:
        machine.wait_ready()
        say(f'the guest is up after {time.monotonic() - begin:.1f} seconds')
        outcomes, runner = steps.run_steps(
            machine, options.seconds,
            lambda step: say(f'{step.name}: {words(step.values)}'))
        machine.power_off()
        result = {'arch': options.arch, 'accel': accel,
                  'statistics': runner.has_stats,
                  'aio': 'native' if machine.native else 'threads'}
    return outcomes, result


def verdict(outcomes, result):
    """The last line, and whether all is well."""
    failures = [f'{outcome.step.name}: {text}'
                for outcome in outcomes for text in outcome.failures]
    total = sum(outcome.figures['requests'] or 0 for outcome in outcomes)
    result['ok'] = not failures
    if failures:
        return f'FAIL: {failures[0]}' + (
            f' (and {len(failures) - 1} more)' if failures[1:] else '')
    return (f"PASS: {len(outcomes)} steps on {result['arch']} "
            f"({result['accel']}), {total} requests, "
            'every setting took effect')


def report(options, outcomes, result):
    text = verdict(outcomes, result)
    result['verdict'] = text
    if options.json:
        as_json(result, outcomes)
    else:
        print_table(outcomes)
        for outcome in outcomes:
            for failure in outcome.failures:
                print(painted(f'{outcome.step.name}: {failure}', BAD))
    if not result['statistics']:
        say('this QEMU has no IOThread statistics: n/a in their columns')
    if options.plot:
        chart.draw(options.plot, outcomes, result)
        say(f'{options.plot} drawn')
    if not options.json:
        print(painted(f'{PROGRAM}: {text}', GOOD if result['ok'] else BAD))
    return 0 if result['ok'] else 1


def main():
    options = parse()
    session.end_on_signals()
    try:
        if options.plot:
            chart.check(options.plot)
        # Trouble with the network or with --qemu shows before the long build
        if options.qemu:
            kit.check_executable(options.qemu)
        kit.make_kit(options.arch)
        qemu = kit.find_qemu(options.arch, options.qemu)
        with session.run_folder() as folder:
            outcomes, result = measure(options, qemu, folder)
        return report(options, outcomes, result)
    except ToolError as error:
        session.complain(PROGRAM, error)
        return 1
    except KeyboardInterrupt:
        print(f'{PROGRAM}: interrupted', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
