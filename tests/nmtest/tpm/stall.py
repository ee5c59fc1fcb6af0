# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The test behind long-tpm-stall: the real swtpm is frozen for seconds at every
point of a VM's life, and goes on.  Nothing may be lost by that, and the monitor
answers all the while.

NEARMETAL_STALL=3-50: how long, in seconds, at random.  NEARMETAL_SEED=N repeats
a run."""

import os
import random
import threading

from nmtools import ToolError
from nmtools.tpm import eventlog

from ..testing import run
from .guest import (DEADLINE, Guest, Watcher, direct_options, need_tpm_guest,
                    tpm_folder)
from .loss import EVENT, SLOWEST
from .state import DIGESTS, Case, extend, register, snapshot

# Without firmware; tpm-crb-device, which ACPI alone tells of, needs one
DEVICES = (('x86_64', 'tpm-tis'), ('x86_64', 'tpm-crb'),
           ('aarch64', 'tpm-tis-device'))
# What a client waits for until the monitor is there, in seconds
LONGEST_START = 40
# To hit one step of a reset or a migration, in seconds
MOMENT = 0.5


def lengths():
    low, _, high = os.environ.get('NEARMETAL_STALL', '3-50').partition('-')
    return float(low), float(high or low)


class Stall:
    """swtpm is frozen in this block, and for the rest of the time after it."""

    def __init__(self, tpm, seconds):
        self._tpm, self.seconds = tpm, seconds
        self._timer = threading.Timer(seconds, tpm.cont)

    def begin(self):
        self._tpm.stop()
        self._timer.start()
        return self

    def over(self):
        self._timer.join()


class Slow(Guest):
    """A guest whose swtpm is frozen as QEMU starts."""

    first = None

    def start(self):
        make = self._make

        def frozen(path):
            if self.first:
                self.first.begin()
            return make(path)
        self._make = frozen
        return super().start()


class Life(Case):
    """One VM with its swtpm, from its start to its end."""

    def __init__(self, checks, qemu, arch, folder, device, chance):
        super().__init__(checks, qemu, arch, folder)
        self.device, self.chance = device, chance
        self.one = self.watcher = None
        self.slowest = 0.0
        self.boots = 1
        self.zero()

    def zero(self):
        """What the register holds after a start."""
        self.value = {bank: bytes(len(digest))
                      for bank, digest in DIGESTS.items()}

    def extend(self):
        extend(self.one.proxy)
        self.value = {bank: eventlog.extend(bank, self.value[bank], digest)
                      for bank, digest in DIGESTS.items()}

    def check(self, good, text, detail=''):
        super().check(good, f'{self.device}: {text}', detail)

    def new_guest(self, name, extra=()):
        watch = os.path.join(self.folder, name + '-watch.qmp')
        guest = Slow(self.qemu, self.arch, self.folder, name,
                     device=self.device,
                     extra=[*direct_options(self.arch), *extra, '-qmp',
                            f'unix:{watch},server=on,wait=off'])
        guest.watch = watch
        return guest

    def length(self, most=None):
        low, high = lengths()
        return self.chance.uniform(low, min(high, most or high))

    def stall(self, tpm=None, most=None):
        return Stall(tpm or self.one.tpm, self.length(most))

    def moment(self):
        threading.Event().wait(self.chance.uniform(0, MOMENT))

    def watch(self, guest):
        self.watcher = Watcher(guest.watch)

    def unwatch(self, what):
        """The monitor has answered all the time."""
        watcher = self.watcher
        watcher.close()
        self.slowest = max(self.slowest, watcher.slowest)
        self.check(watcher.failure is None and watcher.slowest < SLOWEST,
                   f'{what}: the monitor answered within '
                   f'{watcher.slowest:.2f} s', watcher.failure or '')

    def intact(self, what):
        """The guest reads what the TPM held before."""
        read = register(self.one.next_round())
        tpm = self.one.cmd('query-tpm')[0]
        self.check(read == self.value and tpm['state'] in ('ready', 'busy')
                   and not self.one.boot.qmp.named(EVENT),
                   f'{what}: nothing is lost', (read, tpm))


# --- points of its life -----------------------------------------------------

def at_start(life):
    stall = life.one.first = life.stall(None, LONGEST_START)
    life.one.start()
    life.watch(life.one)
    # and once more while it boots
    stall.over()
    second = life.stall().begin()
    life.one.wait_rounds(1)
    second.over()
    life.intact(f'{stall.seconds:.0f} s at its start, {second.seconds:.0f} s '
                'while it boots')


def at_work(life):
    life.extend()
    stall = life.stall().begin()
    stall.over()
    life.intact(f'{stall.seconds:.0f} s at work')


def at_reset(life):
    life.extend()
    stall = life.stall()
    if life.chance.random() < 0.5:
        stall.begin()
        life.moment()
        life.one.cmd('system_reset')
    else:
        life.one.cmd('system_reset')
        life.moment()
        stall.begin()
    life.boots += 1
    life.one.wait_rounds(1, boot=life.boots)
    stall.over()
    life.zero()
    life.intact(f'{stall.seconds:.0f} s at a reset')


def at_pause(life):
    life.extend()
    stall = life.stall().begin()
    life.one.cmd('stop')
    life.moment()
    life.one.cmd('cont')
    stall.over()
    life.intact(f'{stall.seconds:.0f} s at stop and cont')


def at_snapshot(life):
    life.extend()
    for verb in ('save', 'load'):
        stall = life.stall().begin()
        reason = snapshot(life.one, verb, 'tag')
        stall.over()
        life.check(reason is None, f'{stall.seconds:.0f} s at snapshot-{verb}: '
                   'it succeeds', reason)
        life.intact(f'{stall.seconds:.0f} s at snapshot-{verb}')


def at_migration(life):
    life.extend()
    link = os.path.join(life.folder, 'link.sock')
    source = life.one
    target = life.new_guest('target', [*life.disk('target'), '-incoming',
                                       f'unix:{link}'])
    with target:
        stalls = [life.stall().begin(), life.stall(target.tpm).begin()]
        source.cmd('migrate', uri=f'unix:{link}')
        state = source.migration_end()
        for stall in stalls:
            stall.over()
        both = ', '.join(f'{stall.seconds:.0f}' for stall in stalls)
        life.check(state['status'] == 'completed',
                   f'{both} s at a migration: it succeeds', state)
        life.unwatch('all of it')
        source.boot.quit()
        life.one = target
        life.watch(target)
        target.boot.wait(
            lambda: target.cmd('query-status')['status'] == 'running',
            DEADLINE, 'the target runs')
        life.intact(f'{both} s at a migration')
        at_quit(life)


def at_quit(life):
    stall = life.stall(most=10).begin()
    life.watcher.close()
    life.one.cmd('quit')
    code = life.one.boot.process.wait(DEADLINE)
    stall.over()
    life.check(code == 0, f'{stall.seconds:.0f} s at its end: status 0', code)


POINTS = (at_work, at_reset, at_pause, at_snapshot)


def whole_life(life):
    life.one = life.new_guest('source', life.disk())
    try:
        at_start(life)
        points = list(POINTS)
        life.chance.shuffle(points)
        for point in points:
            point(life)
        at_migration(life)
    finally:
        life.one.close()


def test(checks):
    seed = int(os.environ.get('NEARMETAL_SEED', '0')) \
        or random.randrange(1, 1 << 31)
    print(f'NEARMETAL_SEED={seed}')
    chance = random.Random(seed)
    only = os.environ.get('NEARMETAL_DEVICE')
    for arch, device in DEVICES:
        if only and device != only:
            continue
        qemu = need_tpm_guest(arch)
        with tpm_folder() as folder:
            life = Life(checks, qemu, arch, folder, device, chance)
            try:
                whole_life(life)
            except ToolError as error:
                life.check(False, 'it lives', error)
            print(f'{arch}: {device}: the monitor\'s slowest answer: '
                  f'{life.slowest:.2f} s')


def main():
    run('Freezes swtpm for seconds at every point of the life of guests.',
        test)
