# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Measures configs in turns, so that all see the machine's same moods."""

import os
import random
import struct
import sys
import time
from contextlib import ExitStack

from .. import table
from . import configs as cfg
from . import figures
from .machine import Machine

# Signs of somebody else on the machine: the spinning driver lost so much of its
# CPU, the IOThread waited so long for its own, or what neither of them used was
# not idle (then a sleeping IOThread wakes sooner than from an idle CPU)
DRIVER_SHARE = 0.985
WAIT_SHARE = 0.04
OTHERS_SHARE = 0.1
BUSY_SHARE = 0.15
RETRIES = 8


class Progress:
    """One line on standard error, rewritten on a terminal."""

    def __init__(self):
        self._tty = table.terminal(sys.stderr)
        self._width = 0

    def __call__(self, text):
        if self._tty:
            print(f'\r{text:<{self._width}}', end='', file=sys.stderr,
                  flush=True)
            self._width = len(text)

    def line(self, text):
        self.done()
        print(text, file=sys.stderr, flush=True)

    def done(self):
        if self._tty and self._width:
            print('\r' + ' ' * self._width + '\r', end='', file=sys.stderr,
                  flush=True)
            self._width = 0


class LatencyHeld:
    """Keeps CPUs from deep sleep, where the machine and the user may."""

    def __init__(self):
        try:
            self._file = open('/dev/cpu_dma_latency', 'wb', buffering=0)
            self._file.write(struct.pack('i', 0))
        except OSError as error:
            self._file, self.text = None, f'not held ({error.strerror})'
        else:
            self.text = 'held at 0' + self._effect()

    @staticmethod
    def _effect():
        try:
            with open('/sys/devices/system/cpu/cpuidle/current_driver',
                      encoding='ascii') as f:
                driver = f.read().strip()
        except OSError:
            driver = 'none'
        return ' (no idle driver, so no effect)' if driver == 'none' else ''


def _busy(seconds):
    """CPUs' worth of work on the machine during the next @seconds."""
    def read():
        with open('/proc/stat', encoding='ascii') as f:
            user, nice, system, idle, iowait, irq, soft, steal = (
                int(word) for word in f.readline().split()[1:9])
        return user + nice + system + irq + soft + steal
    before = read()
    time.sleep(seconds)
    return (read() - before) / os.sysconf('SC_CLK_TCK') / seconds


class Runner:
    def __init__(self, args, cpus, folder, progress):
        self._args, self._cpus = args, cpus
        self._folder, self._progress = folder, progress
        self._random = random.Random(args.seed)
        self._patience = args.patience
        self.end = time.monotonic() + 60 * args.max_minutes
        self.disturbed = 0
        self.recorded = []

    @property
    def late(self):
        return time.monotonic() > self.end

    def _wait_for_quiet(self, what):
        """While all of ours is paused; gives up when patience is used up."""
        while self._patience > 0 and not self.late:
            if _busy(0.2) < BUSY_SHARE:
                return
            self._progress(f'{what}: waiting, others use the machine')
            time.sleep(0.8)
            self._patience -= 1

    def _is_disturbed(self, workload, result):
        others = (2 * result['ns'] - result['idle-ns'] - result['cpu-ns'] -
                  result['driver-cpu-ns'])
        if (result['wait-ns'] > WAIT_SHARE * result['ns'] or
                others > OTHERS_SHARE * result['ns']):
            return True
        return (not workload.idle and
                result['driver-cpu-ns'] < DRIVER_SHARE * result['ns'])

    def _slice(self, machine, workload, label, rep, part):
        args = self._args
        warm = args.warm if part == 0 else args.warm / 2
        for attempt in range(RETRIES):
            result = machine.slice(warm, args.seconds / args.slices,
                                   seed=1000 * rep + part + 1)
            if not self._is_disturbed(workload, result):
                return result
            if attempt == RETRIES - 1 or self.late or args.quick:
                break
            self._wait_for_quiet(f'{workload.name} {label}')
        self.disturbed += 1
        return result

    def _record(self, machine, workload, label):
        """A slice of its own, so that recording costs the figures nothing."""
        path = self._args.record
        if not path or (workload.name, label) in self.recorded:
            return
        self.recorded.append((workload.name, label))
        if self._args.record_many:
            base, ext = os.path.splitext(path)
            path = f'{base}-{workload.name}-{label}{ext}'
        machine.slice(self._args.warm, self._args.seconds, 1,
                      record=os.path.abspath(path))

    def repetition(self, workload, configs, rep):
        """A figure of each config, from new processes in turns: A B, B A."""
        results = {c.label: [] for c in configs}
        with ExitStack() as stack:
            machines = {c.label: stack.enter_context(
                Machine(c, workload, self._cpus, self._folder,
                        self._args.nice)) for c in configs}
            self._wait_for_quiet(workload.name)
            order = list(machines)
            self._random.shuffle(order)
            for part in range(self._args.slices):
                for label in order:
                    results[label].append(self._slice(
                        machines[label], workload, label, rep, part))
                order.reverse()
            for label, machine in machines.items():
                self._record(machine, workload, label)
        return {label: figures.figures(parts)
                for label, parts in results.items()}


def configs_of(workload, configs):
    """With polling off as well, where a target asks for it."""
    if workload.needs_off:
        return [*configs, cfg.polling_off(configs[0])]
    return list(configs)


def is_wide(workload, samples):
    """Is an interval of interest still too wide?"""
    labels = list(samples)
    first = samples[labels[0]]
    pairs = [(label, first, key) for label in labels[1:] if label != cfg.OFF
             for key in (('cpu_percent',) if workload.idle
                         else ('iops', 'cpu_us'))]
    pairs += [(label, samples[cfg.OFF], t.metric) for label in labels
              for t in workload.targets
              if t.against == 'off' and label != cfg.OFF]
    for label, other, key in pairs:
        value = figures.ratio(samples[label], other, key)
        if value and not value.precise:
            return True
    return False


def no_samples(workloads, configs):
    """{workload: {label: [figures]}}, with no figures."""
    return {w.name: {c.label: [] for c in configs_of(w, configs)}
            for w in workloads}


def measure(runner, workloads, configs, args, progress, samples):
    """Adds to @samples; in the end more of what is not sure."""
    def one(workload):
        mine = samples[workload.name]
        rep = len(next(iter(mine.values())))
        progress(f'{workload.name}: repetition {rep + 1}')
        for label, value in runner.repetition(
                workload, configs_of(workload, configs), rep).items():
            mine[label].append(value)

    for i, workload in enumerate(workloads):
        for _ in range(args.reps):
            if not runner.late:
                one(workload)
        if not runner.late:
            progress.line(f'[{i + 1}/{len(workloads)}] {workload.name}')
    again = [] if args.quick else list(workloads)
    while again and not runner.late:
        again = [w for w in again if is_wide(w, samples[w.name]) and
                 len(next(iter(samples[w.name].values()))) < args.max_reps]
        for workload in again:
            if not runner.late:
                one(workload)
    progress.done()
