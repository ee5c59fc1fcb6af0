# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Tries settings of the IOThreads of a running VM, under the load that it has,
and recommends one or tells that none is better.  The old settings come back in
the end, however it ends.  Needs IOThread statistics in QEMU."""

import argparse
import json
import signal
import sys
import time

from .. import ToolError, command, table
from ..qmp import open_monitor
from ..stop import Stop
from . import advice, chart, judge, measure, query, report, sweep
from .trial import Trial

PROGRAM = 'iothread-tune'
EPILOG = '''\
Each setting runs for a slice of time, in several rounds and each time in
another order, and is compared with the settings as they are in the same round.
Without --set these are tried, one property after the other, as far as QEMU has
them:

{sweep}

goals:
  latency    most requests a second; among equals the least CPU.  This is for a
             load that goes faster when it is served faster
  cpu        least CPU for each request, keeping 90 % of the requests a second
  balanced   a per cent more requests is worth a per cent more CPU for each

^C, SIGTERM and SIGHUP end it and restore.  Only after SIGKILL, or if QEMU does
not answer, the old settings have to be set by hand: it prints them first.

examples:
  iothread-tune /run/vm1.qmp
  iothread-tune --goal cpu --plot vm1.svg /run/vm1.qmp
  iothread-tune --set poll-max-ns=0,32768 --set aio-max-batch=0,16 libvirt:vm1
'''


def say(text):
    command.say(PROGRAM, text)


def parse(arguments):
    listed = '\n'.join(f"  {name}={','.join(map(str, values))}"
                       for name, values in sweep.SWEEP.items())
    parser = command.Parser(
        prog=PROGRAM, description=__doc__, allow_abbrev=False,
        epilog=EPILOG.format(sweep=listed),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('monitor', metavar='MONITOR', type=command.address,
        help=command.ADDRESS_HELP)
    add('--iothread', action='append', default=[], metavar='ID',
        help='tune this one (repeatable; default: all that are busy)')
    add('--goal', choices=judge.GOALS, default='balanced',
        help='what is better (default: balanced)')
    add('--set', action='append', default=[], metavar='PROPERTY=V1,V2,...',
        help='try these values; with several --set every combination')
    add('--seconds', type=command.number(float, 0.1, 3600), default=2.0,
        metavar='N', help='length of a slice (default: 2)')
    add('--rounds', type=command.number(int, judge.MIN_ROUNDS, 1000),
        default=5, metavar='N', help='rounds, 3 or more (default: 5)')
    add('--plot', metavar='FILE',
        help='also draw rate against CPU for each: an .svg or .png file')
    add('--dry-run', action='store_true',
        help='tell what would be tried and how long it takes')
    add('--json', action='store_true', help='print the result as JSON')
    return parser.parse_args(arguments)


class Progress:
    """On stderr: a line that changes on a terminal, else one a round."""

    def __init__(self, rounds, seconds):
        self._rounds = rounds
        self._seconds = seconds
        self._live = table.terminal(sys.stderr)
        self._round = -1

    def __call__(self, number, setting, done):
        left = minutes(self._seconds * (1 - done))
        if self._live:
            text = (f'{PROGRAM}: round {number + 1} of {self._rounds}, '
                    f'{left} left, {sweep.words(setting)}')
            self._write(f'\r{text[:79]}\033[K')
        elif number != self._round:
            say(f'round {number + 1} of {self._rounds}, {left} left')
        self._round = number

    def end(self):
        if self._live and self._round >= 0:
            self._write('\r\033[K')

    @staticmethod
    def _write(text):
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            pass        # the terminal has gone; a signal tells


def minutes(seconds):
    seconds = round(seconds)
    if seconds < 60:
        return f'{seconds} s'
    return f'{seconds // 60} min {seconds % 60:02d} s'


def explain(runner, options, paths, present, settings, notes):
    """Before anything is changed: what is there, what is tried, how long."""
    for path in paths:
        words = sweep.words(present[path])
        say(f'{query.short(path)} has {words}')
    for note in notes:
        say(note)
    end = time.strftime('%H:%M:%S', time.localtime(
        time.time() + runner.limit()))
    say(f'{len(settings)} settings, {options.rounds} rounds of '
        f'{options.seconds:g} s each: {minutes(runner.seconds())}, '
        f'ends by {end} in any case')


def conclude(runner, options, settings, present, probed):
    """PROBED: events and requests a second before all slices."""
    most = max((s.rate('events') + s.rate('requests') for s in runner.slices),
               default=0)
    if most < judge.STOPPED * probed:
        raise ToolError('the load ended before there was anything to compare; '
                        'start again under a steady load')
    unit = judge.pick_unit(judge.steady(runner.slices, 'events'))
    slices = judge.steady(runner.slices, unit)
    lost = len(runner.slices) - len(slices)
    found = judge.verdicts(slices, len(settings), unit, options.goal)
    if not found:
        raise ToolError('the load ended before there was anything to compare; '
                        'start again under a steady load')
    if lost and max(v.rounds for v in found[1:]) < judge.MIN_ROUNDS:
        raise ToolError(f'the load stopped: it was there in {len(slices)} of '
                        f'{len(runner.slices)} slices, too few to compare; '
                        'start again under a steady load')
    if lost:
        say(f'the load stopped meanwhile: {lost} of {len(runner.slices)} '
            'slices do not count')
    return report.Result(options.goal, settings, unit, found,
                         judge.recommend(found, options.goal), present,
                         runner.idle, lost)


def show(options, result):
    if options.json:
        print(json.dumps(report.as_json(result), indent=2))
        return
    bold = table.colour()
    lines = report.table_lines(result)
    print(table.paint(lines[0], 1, bold))
    for line, verdict in zip(lines[1:], result.found):
        print(table.paint(line, 32 if verdict is result.best else 0, bold))
    print('\n'.join(lines[1 + len(result.found):]))
    print('\n' + table.paint(report.verdict_line(result), 1, bold))
    for title, texts in report.advice_lines(result):
        print(f'\n{title}:')
        for text in texts:
            print('  ' + (text if isinstance(text, str)
                          else json.dumps(text)))


def complain(runner, settings):
    """What the table does not tell."""
    for index, why in runner.refused.items():
        say(f'{sweep.words(settings[index])} was refused: {why}')
    if runner.idle:
        say(f'{runner.idle} of {len(runner.slices)} slices had no event; '
            'the load is not steady')
    if runner.out_of_time:
        say('out of time: not all rounds were run')


def tune(options, trial, wanted, stop):
    """The result, None of a dry run; the trial's context restores."""
    load = measure.probe(trial.monitor, stop)
    paths = measure.choose(load, options.iothread)
    if not options.dry_run:
        measure.check_busy(load, paths)
    known = [query.properties(trial.monitor, path) for path in paths]
    available = [name for name in known[0]
                 if all(name in names for names in known)]
    for path in paths:
        trial.remember(path, available)
    present = trial.present()
    settings, notes = sweep.plan(wanted, present, available)
    runner = measure.Sweep(trial, paths, settings, options, stop)
    explain(runner, options, paths, present, settings, notes)
    if options.dry_run:
        print('\n'.join(map(sweep.words, settings)))
        return None
    domain = query.vm_name(trial.monitor)
    progress = Progress(options.rounds, runner.seconds())
    with trial:
        try:
            runner.run(progress)
        finally:
            progress.end()
    complain(runner, settings)
    result = conclude(runner, options, settings, present,
                      sum(load[path] for path in paths))
    if result.best:
        result.advice = advice.advise(present, result.setting(result.best),
                                      domain)
    return result


def work(options, stop):
    wanted = sweep.parse_set(options.set)
    if options.plot:
        chart.check(options.plot)
    stop.watch(signal.SIGTSTP)      # ^Z would leave a setting on trial

    def connect():
        return open_monitor(options.monitor, stop)

    trial = Trial(connect(), connect, stop, say)
    try:
        result = tune(options, trial, wanted, stop)
    finally:
        trial.monitor.close()
    if result:
        show(options, result)
        if options.plot:
            chart.draw(options.plot, result)
            say(f'{options.plot} drawn')
    return 1 if trial.unrestored else 0


def main(arguments=None):
    options = parse(arguments)
    stop = Stop().install()
    return command.run(PROGRAM, lambda: work(options, stop))
