# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The test behind long-tpm-swtpm: the real backend is killed, stopped and
restarted under a guest that uses its TPM all the time."""

import os
import subprocess

from nmtools import ToolError
from nmtools.qmp import Refused
from nmtools.running import Running
from nmtools.tpm import eventlog

from ..testing import run
from .guest import (DEADLINE, Guest, Watcher, direct_options, need_tpm_guest,
                    tpm_folder)

EVENT = 'TPM_BACKEND_ERROR'
DEVICES = {'x86_64': 'tpm-crb', 'aarch64': 'tpm-tis-device'}
# So long that waiting for it cannot be taken for a busy machine
PATIENT_MS = 20000
SLOWEST = 10.0      # seconds for an answer of the monitor, at most
# With this the verdict comes soon
BRIEF_MS = 2000


class Case(Running):
    """One guest, watched by a second client all the time."""

    def __init__(self, checks, qemu, arch, name, **options):
        self._checks, self._name, self._arch = checks, name, arch
        self._temporary = tpm_folder()
        self.folder = self._temporary.name
        watch = os.path.join(self.folder, 'watch.qmp')
        limit = options.pop('limit', BRIEF_MS)
        options.setdefault('device', DEVICES[arch])
        extra = [*direct_options(arch, options.pop('words', '')),
                 '-qmp', f'unix:{watch},server=on,wait=off']
        self.guest = Guest(
            qemu, arch, self.folder, proxy=False, extra=extra,
            tpmdev=f',start-timeout={limit},control-timeout={limit}',
            **options)
        self._watch_path = watch
        self.watcher = None

    def check(self, good, text, detail=''):
        self._checks.check(good, f'{self._arch}, {self._name}: {text}',
                           detail)

    def tpm(self):
        return self.guest.cmd('query-tpm')[0]

    def state(self):
        return self.tpm().get('state')

    def until(self, condition, what):
        self.guest.boot.wait(condition, DEADLINE, f'{self._name}: {what}')

    def until_lost(self):
        """The state, and one event about it."""
        self.until(lambda: self.state() == 'lost', 'the TPM is lost')
        events = self.guest.boot.qmp.named(EVENT)
        self.check(len(events) == 1 and events[0].get('id') == 'tpm0'
                   and events[0].get('error'),
                   f'one {EVENT} that says why', events)
        self.check(self.tpm().get('last-error'), 'query-tpm says why')

    def until_ready(self):
        self.until(lambda: self.state() in ('ready', 'busy'),
                   'the TPM is back')

    def quick(self):
        """The monitor has answered all the time."""
        watcher = self.watcher
        self.check(watcher.failure is None and watcher.slowest < SLOWEST,
                   'the monitor has answered all the time',
                   watcher.failure or f'{watcher.slowest:.1f} seconds')

    def migrate(self):
        """Try to save the machine; why that failed, or None."""
        path = os.path.join(self.folder, 'stream')
        try:
            self.guest.cmd('migrate', uri=f'file:{path}')
        except Refused as error:
            return error.desc
        self.until(lambda: self.guest.cmd('query-migrate').get('status')
                   in ('failed', 'completed', 'cancelled'),
                   'the migration ends')
        state = self.guest.cmd('query-migrate')
        if state['status'] == 'completed':
            return None
        return state.get('error-desc', 'no reason given')

    def start(self):
        self.guest.start()
        self.watcher = Watcher(self._watch_path)
        return self

    def close(self):
        try:
            if self.watcher:
                self.watcher.close()
            self.guest.close()
        finally:
            self._temporary.cleanup()


# --- cases ------------------------------------------------------------------

def killed(checks, qemu, arch):
    """Dead and not coming back: the VM lives on, also over a reset."""
    with Case(checks, qemu, arch, 'killed') as case:
        case.guest.wait_rounds(1)
        case.check(case.state() in ('ready', 'busy'), 'the TPM is ready')
        case.guest.tpm.kill()
        case.until_lost()
        reason = case.migrate()
        case.check(reason and 'tpm0' in reason, 'it does not migrate, and '
                   'says why', reason)
        case.guest.cmd('system_reset')
        case.until(lambda: case.guest.printed(2).started,
                   'the guest boots again')
        case.check(case.state() == 'lost', 'still lost after the reset')
        events = case.guest.boot.qmp.named(EVENT)
        case.check(len(events) == 1, 'no second event', events)
        case.quick()


def restarted(checks, qemu, arch):
    """A new swtpm: used from the next reset on, its registers begin anew."""
    with Case(checks, qemu, arch, 'restarted',
              chardev=',reconnect-ms=100') as case:
        before = case.guest.wait_rounds(1).registers()
        case.guest.tpm.kill()
        case.until_lost()
        case.guest.tpm.restart()
        # Nothing may happen: what the registers held is gone
        rounds = case.guest.printed().rounds()
        case.until(lambda: case.guest.printed().rounds() >= rounds + 3,
                   'the guest tries its TPM')
        case.check(case.state() == 'lost', 'lost until the guest is reset')
        case.guest.cmd('system_reset')
        case.until_ready()
        after = case.guest.wait_rounds(1, boot=2).registers()
        case.check(after == before, 'after a reset the guest has its TPM '
                   'again', after)
        case.check(len(case.guest.boot.qmp.named(EVENT)) == 1,
                   'one event in all')
        case.quick()


def stopped_reset(checks, qemu, arch):
    """Stopped and let go on, before anyone may call it lost."""
    with Case(checks, qemu, arch, 'stopped', limit=PATIENT_MS) as case:
        case.guest.wait_rounds(1)
        case.guest.tpm.stop()
        answers = case.watcher.answers
        case.guest.cmd('system_reset')
        case.until(lambda: case.watcher.answers >= answers + 20,
                   'the monitor answers')
        case.quick()
        case.guest.tpm.cont()
        case.guest.wait_rounds(1, boot=2)
        case.check(case.state() in ('ready', 'busy')
                   and not case.guest.boot.qmp.named(EVENT),
                   'the TPM goes on when swtpm does', case.tpm())


def stopped_for_good(checks, qemu, arch):
    """Silent after a reset for longer than the limits."""
    with Case(checks, qemu, arch, 'silent') as case:
        case.guest.wait_rounds(1)
        case.guest.tpm.stop()
        case.guest.cmd('system_reset')
        case.until_lost()
        case.check(case.migrate(), 'it does not migrate')
        case.guest.tpm.cont()
        case.guest.cmd('system_reset')
        case.until_ready()
        case.quick()


def stopped_migrate(checks, qemu, arch):
    """A migration that cannot get the TPM's state fails, and the VM runs."""
    with Case(checks, qemu, arch, 'stopped, migrate') as case:
        case.guest.wait_rounds(1)
        case.guest.tpm.stop()
        reason = case.migrate()
        case.check(reason, 'the migration fails with a reason', reason)
        status = case.guest.cmd('query-status')['status']
        case.check(status == 'running', 'the VM runs', status)
        case.quick()


def stopped_quit(checks, qemu, arch):
    with Case(checks, qemu, arch, 'stopped, quit') as case:
        case.guest.wait_rounds(1)
        case.guest.tpm.stop()
        case.guest.cmd('quit')
        try:
            code = case.guest.boot.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            code = 'it runs'
        case.check(code == 0, 'QEMU ends with status 0', code)


def keys(checks, qemu, arch):
    """A TPM that works for long is not lost: it is asked to cancel."""
    with Case(checks, qemu, arch, 'keys', words='nm.keys') as case:
        pid = case.guest.tpm.process.pid
        for boot in (1, 2, 3):
            case.until(lambda: sum(
                line.startswith('key ') and line.endswith(' 00000000')
                for line in case.guest.printed(boot).lines) >= 2,
                       f'boot {boot} generates keys')
            case.guest.cmd('system_reset')
        case.until(lambda: case.guest.printed(4).has('key 1 00000000'),
                   'keys after the last reset')
        case.check(case.guest.tpm.alive()
                   and case.guest.tpm.process.pid == pid
                   and not case.guest.boot.qmp.named(EVENT),
                   'never lost over resets', case.tpm())
        case.quick()


def version_1_2(checks, qemu, arch):
    device = 'tpm-tis' if arch == 'x86_64' else 'tpm-tis-device'
    with Case(checks, qemu, arch, 'TPM 1.2', version='1.2',
              device=device) as case:
        case.check(case.tpm().get('tpm-version') == 'v1-2',
                   'query-tpm knows its version', case.tpm())
        case.guest.tpm.kill()
        case.until_lost()
        case.quick()


CASES = (killed, restarted, stopped_reset, stopped_for_good,
         stopped_migrate, stopped_quit, keys, version_1_2)


def initial_registers(checks, qemu, arch):
    """Without firmware nothing is measured: the kit tells the truth.  SeaBIOS
    of x86_64 does measure, into registers 0 to 7; IMA extends 10."""
    others = {10, *(range(8) if arch == 'x86_64' else ())}
    with tpm_folder() as folder:
        with Guest(qemu, arch, folder, device=DEVICES[arch],
                   extra=direct_options(arch)) as guest:
            printed = guest.wait_rounds(1)
            for bank, values in printed.registers().items():
                begin = eventlog.initial(bank)
                wrong = [n for n, value in enumerate(values)
                         if value != begin[n] and n not in others]
                checks.check(not wrong, f'{arch}: {bank}: registers are as '
                             'the TPM starts them', wrong)
            guest.boot.quit()


def test(checks):
    for arch in sorted(DEVICES):
        qemu = need_tpm_guest(arch)
        initial_registers(checks, qemu, arch)
        for case in CASES:
            try:
                case(checks, qemu, arch)
            except ToolError as error:
                checks.check(False, f'{arch}: {case.__name__}', error)


def main():
    run('Kills, stops and restarts swtpm under guests that use their TPM.',
        test)
