# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The demonstration: tune an IOThread step by step while I/O runs on it."""

import time
from dataclasses import dataclass, field
from typing import Callable, Optional

from nmtools import ToolError
from nmtools.qmp import Refused

from ..machine import IOTHREAD
from .stats import (PARAMETERS, POLL_CURRENT, Sample, iothread_stats, settings,
                    thread_id, window)

BLOCK = 4096
# QEMU would merge the guest's neighbouring requests to one, and there would
# be no batch to see.
DISK_OPTIONS = ',request-merging=off'
PATIENCE = 60       # longest window in which the I/O must show what it should


@dataclass
class Step:
    """Values to set, the I/O depth to run, and what must be seen then."""

    name: str
    values: dict
    depth: int = 1
    refused: bool = False
    # figures -> does the window show what the step is for (None: no matter)
    shows: Optional[Callable] = None
    expects: str = ''


@dataclass
class Outcome:
    """What a step did."""

    step: Step
    effective: dict
    listed: dict
    figures: dict
    failures: list = field(default_factory=list)
    error: str = ''


def known(figures, *names):
    return all(figures[name] is not None for name in names)


def no_polls(figures):
    return not known(figures, 'poll-hits', 'poll-misses') or \
        figures['poll-hits'] + figures['poll-misses'] == 0


def some_polls(figures):
    return not known(figures, 'poll-hits', 'poll-misses') or \
        figures['poll-hits'] + figures['poll-misses'] > 0


def single(figures):
    return figures['batch'] in (None, 1.0)


def batched(figures):
    return figures['batch'] is None or figures['batch'] > 1


def demo_steps(native=True):
    """The steps; batches are only counted where I/O is native."""
    return [
        Step('defaults', {}),
        Step('polling off', {'poll-max-ns': 0}, shows=no_polls,
             expects='no poll is counted'),
        Step('polling long', {'poll-max-ns': 200000}, shows=some_polls,
             expects='polls are counted'),
        Step('polling adapts', {'poll-grow': 4, 'poll-shrink': 2}),
        Step('bad value', {'poll-max-ns': -1}, refused=True),
        # Read-ahead hands the whole depth over with one notification; polls
        # would take the first requests before the last are there.
        Step('no batches', {'poll-max-ns': 0, 'aio-max-batch': 1}, depth=32,
             shows=single if native else None,
             expects='every submission holds one request'),
        Step('large batches', {'aio-max-batch': 32}, depth=32,
             shows=batched if native else None,
             expects='a submission holds more than one request'),
    ]


class Runner:
    """Runs steps on a booted machine."""

    def __init__(self, machine, seconds=3.0, progress=lambda text: None):
        self.machine = machine
        self.seconds = seconds
        self.progress = progress
        self.tid = thread_id(machine)
        self.has_stats = iothread_stats(machine) is not None
        self.depth = None

    def load(self, depth):
        """Have the guest read with DEPTH requests at a time."""
        if depth == self.depth:
            return
        if self.depth is not None:
            self.machine.guest('stop-io')
        how = 'a' if depth > 1 else 'r'
        self.machine.guest(f'start-io {depth} {BLOCK} {how}')
        self.depth = depth

    def unload(self):
        if self.depth is not None:
            self.machine.guest('stop-io')
            self.depth = None

    def apply(self, step):
        """Set a step's values; the text of QEMU's refusal, if any."""
        for name, value in step.values.items():
            try:
                self.machine.cmd('qom-set', path=IOTHREAD, property=name,
                                 value=value)
            except Refused as error:
                return error.desc
        return ''

    def settle(self):
        """Until requests that began after now have completed."""
        first = Sample(self.machine, self.tid).requests
        self.machine.wait(
            lambda: Sample(self.machine, self.tid).requests
            >= first + 4 * self.depth, PATIENCE, 'the I/O made no progress')

    def measure(self, step):
        """A window of the wanted length, longer if nothing shows yet."""
        before = Sample(self.machine, self.tid)
        reads = self.machine.guest('count')
        end = time.monotonic() + PATIENCE
        self.machine.sleep(self.seconds)
        while True:
            figures = window(before, Sample(self.machine, self.tid))
            shown = step.shows is None or step.shows(figures)
            if (figures['requests'] and shown) or time.monotonic() > end \
                    or step.shows is no_polls:
                break
            self.machine.sleep(0.5)
        after = self.machine.guest('count')
        figures['guest-requests'] = (after['reads'] + after['writes']
                                     - reads['reads'] - reads['writes'])
        return figures

    def run(self, step):
        self.progress(step)
        self.load(step.depth)
        before, _ = settings(self.machine)
        error = self.apply(step)
        self.settle()
        figures = self.measure(step)
        effective, listed = settings(self.machine)
        outcome = Outcome(step, effective, listed, figures, error=error)
        wanted = dict(before)
        if not step.refused:
            wanted.update(step.values)
        judge(outcome, wanted)
        return outcome


def judge(outcome, wanted):
    """Compare what a step did with what it should have done."""
    step, fail = outcome.step, outcome.failures.append
    if step.refused and not outcome.error:
        fail('the bad value was accepted')
    if outcome.error and not step.refused:
        fail(f'QEMU refused it: {outcome.error}')
    for name in PARAMETERS:
        for source, values in (('qom-get', outcome.effective),
                               ('query-iothreads', outcome.listed)):
            if values.get(name) != wanted[name]:
                fail(f'{source} tells {name}={values.get(name)}, '
                     f'not {wanted[name]}')
    limit = outcome.effective['poll-max-ns']
    if outcome.listed.get(POLL_CURRENT, 0) > limit:
        fail(f'query-iothreads tells {POLL_CURRENT}='
             f'{outcome.listed[POLL_CURRENT]}, above poll-max-ns={limit}')
    if not outcome.figures['requests']:
        fail('QEMU completed no requests')
    if outcome.figures['guest-requests'] <= 0:
        fail('the guest saw no request complete')
    if step.shows and not step.shows(outcome.figures):
        fail(f'expected that {step.expects}')


def run_steps(machine, seconds, progress=lambda text: None):
    """All steps on a booted machine; their outcomes and the runner."""
    runner = Runner(machine, seconds, progress)
    outcomes = [runner.run(step) for step in demo_steps(machine.native)]
    runner.unload()
    if not outcomes:
        raise ToolError('no steps were run')
    return outcomes, runner
