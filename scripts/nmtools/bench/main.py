# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Measures IOThreads at native speed, without KVM: patched against stock QEMU.

A real QEMU under the test accelerator; one spinning process is its guest, who
works the virtio rings in shared memory and kicks through the ioeventfd, and its
disk, which completes requests after a programmed latency. The IOThread has
another CPU for itself. Configs are measured in turns; ratios are of pairs.
"""
import argparse
import contextlib
import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from .. import ToolError, WrongArgument, base, picture
from ..command import Parser, number
from . import ROOT, chart, configs, report
from .machine import PROGRAMS
from .runner import (LatencyHeld, Progress, Runner, configs_of, measure,
                     no_samples)
from .workloads import WORKLOADS

SCRATCH = '.run-'

EPILOG = """configs:
  LABEL=FOLDER[,PROPERTY=VALUE...]: a folder of binaries (a build folder, an
  installation, or the words stock and patched for build/BASE/stock-obj and
  build/BASE/obj) and properties of its IOThread. The first one is what the
  others are held against. Default: stock and patched, with no properties.
  Where a target asks for it, 'off' is measured too: the first with
  poll-max-ns=0.

examples:
  scripts/bench                       # all workloads, 20 minutes and more
  scripts/bench --quick               # a first look, two minutes
  scripts/bench --workload qd1-50us,bimodal
  scripts/bench --config stock=stock --config long=stock,poll-max-ns=100000
  scripts/bench --workload qd1-50us --record /tmp/trace   # for a simulation

A figure counts as reached when the 95 % interval of the paired ratio holds the
target or lies beyond it and is no wider than 5 % up or down.
"""


def parse_args():
    parser = Parser(
        prog='bench', allow_abbrev=False, description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    base.add_option(parser)
    add = parser.add_argument
    add('--workload', action='append', default=[], metavar='NAME',
        help='only this one (repeatable, or with commas)')
    add('--list', action='store_true', help='list the workloads')
    add('--config', action='append', default=[], metavar='CONFIG',
        help='measure this; see below (repeatable)')
    add('--reps', type=number(int, 1, 1000),
        help='repetitions, 7 or more (default 9)')
    add('--max-reps', type=number(int, 1, 10000), metavar='N',
        help='while an interval is wider than 5 %%, up to N repetitions (default 4 times --reps)')
    add('--seconds', type=number(float, 0.001, 100),
        help='measured in a repetition (default 1.0)')
    add('--slices', type=number(int, 1, 1000), help='parts of a repetition, '
        'between which configs take turns (default 2)')
    add('--warm', type=number(float, 0.001, 100), help='seconds before the '
        'first part; half of it before others (default 0.3)')
    add('--quick', action='store_true',
        help='2 repetitions of 0.3 s: a first look')
    add('--max-minutes', type=number(float, 0, 10000), default=60,
        help='begin nothing after that (default 60)')
    add('--patience', type=number(int, 0, 100000), default=120,
        metavar='S', help='seconds in all to wait while others use the machine (default 120)')
    add('--cpus', metavar='A,B',
        help='of the IOThread and of the driver (default: the last two)')
    add('--nice', type=number(int, -20, 19), default=0, help='nice value of both '
        '(default 0; below 0 only root may)')
    add('--seed', type=int, default=1, help='of the order (default 1)')
    add('--record', metavar='FILE', help='write when the IOThread got which '
        'event: lines "ns kind source count"; with several workloads or '
        'configs FILE-WORKLOAD-CONFIG')
    add('--out', metavar='DIR', default=str(ROOT / 'build/bench'),
        help='for CSV, JSON and PNG (default build/bench)')
    add('--no-plots', action='store_true', help='draw nothing')
    return complete(parser.parse_args())


def complete(args):
    """Defaults that depend on one another, and sanity."""
    def default(name, usual, quick):
        if getattr(args, name) is None:
            setattr(args, name, quick if args.quick else usual)
    default('reps', 9, 2)
    default('seconds', 1.0, 0.3)
    default('slices', 2, 1)
    default('warm', 0.3, 0.15)
    default('max_reps', 4 * args.reps, args.reps)
    if args.quick:
        args.max_minutes = min(args.max_minutes, 1.8)
        args.patience = min(args.patience, 10)
    if args.reps < (1 if args.quick else 7):
        raise WrongArgument('--reps must be 7 or more; fewer only with --quick')
    return args


def chosen_workloads(args):
    names = [name for text in args.workload for name in text.split(',')]
    for name in names:
        if name not in WORKLOADS:
            raise WrongArgument(f"there is no workload '{name}'; "
                                'scripts/bench --list names them')
    return [WORKLOADS[name] for name in dict.fromkeys(names or WORKLOADS)]


def chosen_configs(args):
    chosen = [configs.parse(text) for text in args.config]
    chosen = chosen or configs.defaults()
    labels = [c.label for c in chosen]
    for label in labels:
        if labels.count(label) > 1:
            raise WrongArgument(f"two configs are named '{label}'")
    return chosen


def chosen_cpus(args):
    allowed = sorted(os.sched_getaffinity(0))
    try:
        cpus = [int(word) for word in args.cpus.split(',')] if args.cpus \
            else allowed[:-3:-1]
    except ValueError:
        cpus = []
    if len(set(cpus)) != 2 or not set(cpus) <= set(allowed):
        kind = WrongArgument if args.cpus else ToolError
        raise kind('two CPUs are needed; --cpus A,B may name '
                   + ', '.join(map(str, allowed)))
    return cpus


def check_binaries(workloads, chosen):
    for workload in workloads:
        for config in configs_of(workload, chosen):
            if workload.profile != 'vhost':
                config.binary('qemu-system-x86_64')
            if workload.profile in ('vhost', 'nbd'):
                config.binary('qemu-storage-daemon')


def configured(dev):
    """Is it there, and of this place?  In a checkout that was copied, meson's
    files would build the sources of the old one."""
    try:
        with open(dev / 'meson-info/meson-info.json', encoding='utf-8') as f:
            place = json.load(f)['directories']['source']
    except (OSError, ValueError, KeyError):
        return False
    return (dev / 'build.ninja').exists() and place == str(ROOT)


def build():
    """The driver and the shim, by the project's own build."""
    def call(*cmd):
        res = subprocess.run(cmd, capture_output=True, text=True, check=False)
        if res.returncode:
            raise ToolError(f"{' '.join(cmd)} failed: " +
                            (res.stdout + res.stderr).strip().split('\n')[-1]
                            + '; run scripts/setup')
    for tool in ('meson', 'ninja'):
        if not shutil.which(tool):
            raise ToolError(f'{tool} is missing; run scripts/setup')
    dev = ROOT / 'build/dev'
    if not configured(dev):
        shutil.rmtree(dev, ignore_errors=True)
        call('meson', 'setup', str(dev), str(ROOT))
    folder = os.path.relpath(PROGRAMS, dev)
    call('ninja', '-C', str(dev), f'{folder}/bench-driver',
         f'{folder}/libbench-shim.so')


def describe_machine(args, chosen, held, runner, took):
    cpu = platform.machine()
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        for line in f:
            if line.startswith('model name'):
                cpu = line.split(':', 1)[1].strip()
                break
    return {'cpu': cpu, 'cpus': os.cpu_count(), 'kernel': platform.release(),
            'cpu_dma_latency': held.text, 'repetitions': args.reps,
            'seconds': args.seconds, 'slices': args.slices,
            'warm': args.warm, 'nice': args.nice,
            'disturbed_slices': runner.disturbed, 'minutes': round(took, 1),
            'configs': {c.label: c.text for c in chosen}}


def write_all(args, out, machine, workloads, samples, progress):
    report.print_table(workloads, samples)
    if machine['disturbed_slices']:
        print(f"{machine['disturbed_slices']} slices were disturbed by others "
              'on this machine, and count nevertheless')
    report.write_json(os.path.join(out, 'bench.json'), machine, workloads,
                      samples)
    report.write_csv(os.path.join(out, 'bench.csv'), workloads, samples)
    if args.no_plots:
        pass
    elif picture.available():
        chart.draw(out, workloads, samples)
    else:
        progress.line('no pictures: install python3-matplotlib')
    print(f"{machine['minutes']} minutes; cpu_dma_latency "
          f"{machine['cpu_dma_latency']}; figures in {out}")


def run(args, out):
    workloads, chosen = chosen_workloads(args), chosen_configs(args)
    cpus = chosen_cpus(args)
    check_binaries(workloads, chosen)
    build()
    for name in os.listdir(out):
        if name.startswith(SCRATCH):        # of a run that was killed
            shutil.rmtree(os.path.join(out, name), ignore_errors=True)
    args.record_many = sum(len(configs_of(w, chosen)) for w in workloads) > 1
    progress, held, start = Progress(), LatencyHeld(), time.monotonic()
    progress.line(f'/dev/cpu_dma_latency: {held.text}')
    samples, failure = no_samples(workloads, chosen), None
    with tempfile.TemporaryDirectory(dir=out, prefix=SCRATCH) as folder:
        runner = Runner(args, cpus, folder, progress)
        try:
            measure(runner, workloads, chosen, args, progress, samples)
        except (ToolError, KeyboardInterrupt) as error:
            failure = error                 # what there is is worth a table
    progress.done()
    machine = describe_machine(args, chosen, held, runner,
                               (time.monotonic() - start) / 60)
    if any(mine for one in samples.values() for mine in one.values()):
        write_all(args, out, machine, workloads, samples, progress)
    if failure:
        raise failure


def work(args):
    if args.list:
        width = max(map(len, WORKLOADS))
        for workload in WORKLOADS.values():
            print(f'{workload.name:<{width}}  {workload.what}')
        return
    out = os.path.abspath(args.out)
    try:
        os.makedirs(out, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise ToolError(f'{out}: {error.strerror}; '
                        'name a folder with --out') from error
    with only_one():
        run(args, out)


def only_one():
    """Holds a lock: two runs at a time would measure one another."""
    try:
        lock = open(ROOT / 'build/.bench-lock', 'w', encoding='ascii')
    except OSError:
        return contextlib.nullcontext()     # somebody else's project
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print('waiting for another run of scripts/bench', file=sys.stderr,
              flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def interrupted(_number, _frame):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, interrupted)
    try:
        work(parse_args())
    except ToolError as error:
        print(f'bench: error: {error}', file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return 130
    return 0
