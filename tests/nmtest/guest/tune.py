# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The test behind test-tune-*: the demo's steps, and the statistics."""

from .. import session
from ..demo.stats import block_requests, host_cpu_ns, iothread_stats
from ..demo.steps import DISK_OPTIONS, Runner, demo_steps
from ..machine import Machine
from ..testing import need_kit, patched_qemu, run

GROWING = ('loops', 'poll-hits', 'poll-misses', 'poll-hit-time',
           'poll-miss-time', 'blocks', 'block-time', 'spurious-wakeups',
           'events', 'requests', 'submits', 'cpu-time')
NS_PER_MS = 1000000


def check_steps(checks, runner, native):
    """Each step of the demo; returns the statistics after each."""
    trail = [iothread_stats(runner.machine)]
    for step in demo_steps(native):
        outcome = runner.run(step)
        figures = ' '.join(f'{key}={value}' for key, value
                           in outcome.figures.items())
        print(f'      {step.name}: {figures}', flush=True)
        checks.check(not outcome.failures, f'step {step.name}',
                     '; '.join(outcome.failures))
        trail.append(iothread_stats(runner.machine))
    return trail


def check_counters(checks, trail):
    """Counters only grow, and those that I/O must move have moved."""
    for name in GROWING:
        values = [stats.get(name) for stats in trail]
        if not checks.check(None not in values, f'{name} is counted'):
            continue
        checks.check(values == sorted(values), f'{name} never shrinks',
                     values)
    first, last = trail[0], trail[-1]
    for name in ('loops', 'events', 'blocks', 'cpu-time'):
        checks.check(last.get(name, 0) > first.get(name, 0),
                     f'{name} grew under I/O')
    checks.check(isinstance(last.get('wait-histogram'), list)
                 and sum(last['wait-histogram']) > 0,
                 'wait-histogram is filled', last.get('wait-histogram'))


def check_agreement(checks, runner, native):
    """The statistics against what the host and the block layer count."""
    machine = runner.machine
    stats, done = iothread_stats(machine), block_requests(machine)
    if native:
        checks.check(stats['requests'] >= stats['submits'] > 0,
                     'no submission is empty')
        checks.check(stats['requests'] >= done,
                     'every request of the disk is counted',
                     f"{stats['requests']} of {done}")
    before = host_cpu_ns(machine, runner.tid)
    told = iothread_stats(machine)['cpu-time']
    after = host_cpu_ns(machine, runner.tid)
    if before is not None and after is not None:
        checks.check(before - 20 * NS_PER_MS <= told <= after + 20 * NS_PER_MS,
                     "cpu-time agrees with the host's own count",
                     f'{told} is not within {before} to {after}')


def test(checks, arch):
    qemu = patched_qemu(arch)
    need_kit(arch)
    with session.run_folder() as folder:
        with Machine(qemu, arch, folder,
                     disk_options=DISK_OPTIONS) as machine:
            machine.wait_ready()
            runner = Runner(machine, seconds=1.0)
            if not checks.check(runner.has_stats,
                                'query-stats knows the IOThread'):
                return
            trail = check_steps(checks, runner, machine.native)
            runner.unload()
            check_counters(checks, trail)
            check_agreement(checks, runner, machine.native)
            machine.power_off()
            checks.check(machine.process.returncode == 0,
                         'the guest powers off cleanly')


def main(arch):
    run(f'Boots an {arch} guest and tunes the IOThread of its disk.',
        lambda checks: test(checks, arch))
