# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Shows what the IOThreads of a running VM do, as top does for processes: how
often polling finds an event, how much CPU it wastes, how long the waits are
and how large the batches.  Needs IOThread statistics in QEMU."""

import argparse
import json
import signal
import sys
import time

from .. import command, table
from ..qmp import Lost, open_monitor
from ..screen import Screen
from ..stop import Stop
from . import layout, query, rates

PROGRAM = 'iothread-top'
SHOWN = ('poll-max-ns', 'poll-policy')
COLUMNS_HELP = '''columns:
  CPU %      CPU time of the thread
  EVENTS/S   handlers that had something to do
  REQ/S      requests handed to an AIO engine
  BATCH      requests for each call that hands them over
  HIT %      polls that found an event
  WASTED %   time spent in polls that found none, of all time
  WAIT       mean wait for an event, from a histogram: good to a third
  POLL       how long the loop may poll at present
  MAX        poll-max-ns: how long it may poll at most
  POLICY     poll-policy, - where QEMU has none

Keys: q ends.  The exit status is 0, also when the VM ends, but 1 if it ends
before --count intervals.

examples:
  iothread-top /run/vm1.qmp
  iothread-top --json -n 10 -i 5 localhost:4444
  iothread-top libvirt:vm1
'''


def parse(arguments):
    parser = command.Parser(
        prog=PROGRAM, description=__doc__, epilog=COLUMNS_HELP,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('monitor', metavar='MONITOR', type=command.address,
                        help=command.ADDRESS_HELP)
    parser.add_argument('-i', '--interval', metavar='SECONDS', default=1.0,
                        type=command.number(float, 0.1, 3600),
                        help='time between two looks (default: 1)')
    parser.add_argument('-n', '--count', metavar='N',
                        type=command.number(int, 1, 10 ** 9),
                        help='end after N intervals')
    parser.add_argument('--batch', action='store_true',
                        help='one table after the other, as without terminal')
    parser.add_argument('--json', action='store_true',
                        help='one JSON object a line for each interval')
    return parser.parse_args(arguments)


class Source:
    """The VM: samples, and the settings that belong to them."""

    def __init__(self, monitor):
        self._monitor = monitor
        self._names = {}
        self.name = query.vm_name(monitor) or monitor.address

    def sample(self):
        return query.take(self._monitor)

    def settings(self, sample):
        """poll-max-ns and poll-policy, where there is such a property."""
        found = {}
        for path in sample.stats:
            if path not in self._names:
                known = query.properties(self._monitor, path)
                self._names[path] = [n for n in SHOWN if n in known]
            found[path] = query.settings(self._monitor, path,
                                         self._names[path])
        # One that is added again may be of another kind
        self._names = {path: self._names[path] for path in sample.stats}
        return found


class Plain:
    """Tables that append, or a line of JSON each."""

    def __init__(self, options, name):
        self._json = options.json
        self._name = name

    def wait(self, stop, seconds):
        stop.sleep(seconds)
        return True

    def show(self, report):
        if self._json:
            print(json.dumps(report.as_json()), flush=True)
            return
        # A terminal that can do nothing but print has a width, too
        width = Screen.size()[0] if sys.stdout.isatty() else None
        lines = layout.lines_of(report.rows, width, table.colour())
        print('\n'.join([report.title(self._name)] + lines + report.notes
                        + ['']), flush=True)


class Live:
    """One page, drawn again after each interval and each resize."""

    def __init__(self, screen, name):
        self._screen = screen
        self._name = name
        self._report = None
        self._size = None
        screen.show([f'{name}: the first figures come soon'])

    def wait(self, stop, seconds):
        """False if the user has had enough."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            # Resize and ^Z are signals, which end the select
            if stop.select(left, self._screen.files()):
                if self._screen.key() in ('q', 'Q', ''):
                    return False
            if stop.seen(signal.SIGTSTP):
                self._screen.suspend()
                self._size = None
            if self._report and self._size != self._screen.size():
                self.show(self._report)
        return True

    def show(self, report):
        self._report = report
        self._size = self._screen.size()
        self._screen.show(layout.page(report, self._name, self._size,
                                      table.colour()))


def watch(options, source, view, stop):
    """Until the count is reached or the user ends it; Lost ends it too."""
    before = source.sample()
    shown = 0
    while options.count is None or shown < options.count:
        due = before.seconds + options.interval
        if not view.wait(stop, due - time.monotonic()):
            break
        after = source.sample()
        view.show(layout.build(before, after, source.settings(after),
                               rates.figures))
        before = after
        shown += 1


def look(options, monitor, stop):
    source = Source(monitor)
    if options.json or options.batch \
            or not table.terminal(sys.stdout):
        watch(options, source, Plain(options, source.name), stop)
        return
    stop.watch(signal.SIGWINCH, signal.SIGTSTP)
    with Screen() as screen:
        watch(options, source, Live(screen, source.name), stop)


def work(options, stop):
    monitor = open_monitor(options.monitor, stop)
    try:
        look(options, monitor, stop)
    except Lost as lost:
        command.say(PROGRAM, str(lost))
        return 1 if options.count is not None else 0
    finally:
        monitor.close()
    return 0


def main(arguments=None):
    options = parse(arguments)
    stop = Stop().install()
    return command.run(PROGRAM, lambda: work(options, stop))
