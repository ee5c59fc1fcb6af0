# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The sweep itself: slices of time, each with a setting, under a load that
nobody here controls."""

import time

from .. import ToolError
from ..qmp import Refused
from . import query, rates, sweep
from .judge import Slice

PROBE_SECONDS = 1.0
IDLE_RATE = 10          # events and requests a second, below: idle
BUSY_SHARE = 0.1        # of the busiest IOThread's rate
SUMMED = ('events', 'requests', 'submits', 'cpu-time', 'poll-hits',
          'poll-misses', 'poll-miss-time')


def probe(monitor, stop):
    """Events and requests a second by path, over a second."""
    before = query.take(monitor)
    stop.sleep(PROBE_SECONDS)
    after = query.take(monitor)
    seconds = after.seconds - before.seconds
    found = {}
    for path, stats in after.stats.items():
        grown = rates.deltas(before.stats.get(path, stats), stats) or {}
        found[path] = (grown.get('events', 0)
                       + grown.get('requests', 0)) / seconds
    return found


def choose(load, wanted):
    """Paths of the IOThreads to tune: those WANTED by id, or the busy ones."""
    if not load:
        raise ToolError('this VM has no IOThread; start it with '
                        '-object iothread,id=ID and iothread=ID at its disks')
    by_id = {query.short(path): path for path in load}
    for name in wanted:
        if name not in by_id:
            raise ToolError(f"there is no IOThread '{name}'; this VM has "
                            + ', '.join(sorted(by_id)))
    if wanted:
        return [by_id[name] for name in dict.fromkeys(wanted)]
    least = BUSY_SHARE * max(load.values())
    return sorted(path for path, rate in load.items() if rate >= least)


def check_busy(load, paths):
    rate = sum(load[path] for path in paths)
    if rate < IDLE_RATE:
        names = ', '.join(query.short(path) for path in paths)
        raise ToolError(f'idle: {names} had {rate:.0f} events in a second; '
                        'start the load to tune for, then this again')


class Sweep:
    """Runs the settings in rounds; slices has what was measured."""

    def __init__(self, trial, paths, settings, options, stop):
        self._trial = trial
        self._paths = paths
        self._settings = settings
        self._options = options
        self._stop = stop
        self.settle = min(0.5, options.seconds / 4)
        self.slices = []
        self.refused = {}       # index: why
        self.idle = 0
        self.out_of_time = False

    def seconds(self):
        """How long it takes; nothing of it waits for the load."""
        steps = self._options.rounds * (len(self._settings) + 2)
        return steps * (self._options.seconds + self.settle)

    def limit(self):
        """When it stops in any case, on a host that is too busy."""
        return 1.5 * self.seconds() + 30

    def run(self, progress):
        """PROGRESS(round, setting, share done) is called before each slice."""
        begin = time.monotonic()
        for number in range(self._options.rounds):
            steps = sweep.order(len(self._settings), number)
            for step, index in enumerate(steps):
                if time.monotonic() - begin > self.limit():
                    self.out_of_time = True
                    return
                if index not in self.refused:
                    done = (number + step / len(steps)) / self._options.rounds
                    progress(number, self._setting(index), done)
                    self._one(number, index)

    def _setting(self, index):
        return {} if index is None else self._settings[index]

    def _one(self, number, index):
        try:
            self._trial.apply(self._setting(index))
        except Refused as error:
            self._check_present()
            if index is None:
                raise
            self.refused[index] = error.desc
            return
        self._stop.sleep(self.settle)
        before = query.take(self._trial.monitor)
        self._stop.sleep(self._options.seconds)
        after = query.take(self._trial.monitor)
        piece = Slice(number, index, after.seconds - before.seconds,
                      self._grown(before, after))
        self.idle += piece.idle()
        self.slices.append(piece)

    def _check_present(self):
        known = query.take(self._trial.monitor).stats
        self._need(path for path in self._paths if path not in known)

    @staticmethod
    def _need(missing):
        for path in missing:
            raise ToolError(f'{query.short(path)} was removed from the '
                            'VM meanwhile; start again')

    def _grown(self, before, after):
        total = dict.fromkeys(SUMMED, 0)
        for path in self._paths:
            if path not in before.stats or path not in after.stats:
                self._need([path])
            grown = rates.deltas(before.stats[path], after.stats[path])
            if grown is None:
                self._need([path])
            for name in SUMMED:
                total[name] += grown.get(name, 0)
        return total
