# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The test behind long-tpm-state: the TPM's state in snapshots, and where a
migration goes to a machine whose swtpm does not answer."""

import hashlib
import os
import subprocess
import time

from nmtools import ToolError
from nmtools.base import build_dir
from nmtools.tpm import commands, eventlog

from ..testing import run
from .guest import (DEADLINE, Guest, TpmTest, direct_options, need_tpm_guest,
                    tpm_folder)
from .loss import BRIEF_MS, DEVICES

TAG = 'before'
REGISTER = 16           # for tests: anyone may extend it
DIGESTS = {'sha1': hashlib.sha1(b'nearmetal').digest(),
           'sha256': hashlib.sha256(b'nearmetal').digest()}
LIMITS = f',start-timeout={BRIEF_MS},control-timeout={BRIEF_MS}'
# What three waits of BRIEF_MS and a busy machine may take, in seconds
SOON = 60


class Case(TpmTest):
    """A guest whose backend has little time, and a disk for its state."""

    def guest(self, name, extra=()):
        return Guest(self.qemu, self.arch, self.folder, name,
                     device=DEVICES[self.arch], tpmdev=LIMITS,
                     extra=[*direct_options(self.arch), *extra])

    def disk(self, name='disk'):
        """Options of a disk that can hold snapshots."""
        path = os.path.join(self.folder, name + '.qcow2')
        subprocess.run([build_dir('obj', 'qemu-img'), 'create', '-q', '-f',
                        'qcow2', path, '64M'], check=True,
                       stdin=subprocess.DEVNULL)
        return ['-blockdev', 'driver=qcow2,node-name=disk,'
                             f'file.driver=file,file.filename={path}',
                '-device', 'virtio-blk-pci,drive=disk']


def extend(proxy):
    """Have the TPM extend the register; what that must make of it."""
    commands.check('PCR_Extend',
                   proxy.ask(commands.pcr_extend(REGISTER, DIGESTS)))
    return {bank: eventlog.extend(bank, bytes(len(digest)), digest)
            for bank, digest in DIGESTS.items()}


def register(banks):
    return {bank: values[REGISTER] for bank, values in banks.items()}


def snapshot(guest, verb, tag):
    """Have a snapshot made or loaded; why that failed, or None."""
    job = f'{verb}-{tag}'
    guest.cmd(f'snapshot-{verb}', **{'job-id': job, 'tag': tag,
                                     'vmstate': 'disk', 'devices': ['disk']})
    state = {}

    def done():
        state.update(*[one for one in guest.cmd('query-jobs')
                       if one['id'] == job])
        return state.get('status') == 'concluded'
    guest.boot.wait(done, DEADLINE, f'the end of snapshot-{verb}')
    guest.cmd('job-dismiss', id=job)
    return state.get('error')


# --- cases ------------------------------------------------------------------

def rolled_back(case):
    """What the TPM was told after a snapshot it forgets with loading that."""
    with case.guest('snapshot', case.disk()) as guest:
        before = register(guest.wait_rounds(1).registers())
        case.check(not any(map(any, before.values())),
                   f'register {REGISTER} is zero at first', before)
        case.check(snapshot(guest, 'save', TAG) is None, 'a snapshot is made')
        wanted = extend(guest.proxy)
        read = register(guest.next_round())
        case.check(read == wanted, 'the guest sees what was extended', read)
        reason = snapshot(guest, 'load', TAG)
        case.check(reason is None, 'the snapshot is loaded', reason)
        read = register(guest.next_round())
        case.check(read == before, 'the guest sees the register as it was',
                   read)
        read = register(guest.proxy.registers())
        case.check(read == before, 'so does the TPM', read)
        stopped_save(case, guest)
        guest.boot.quit()


def stopped_save(case, guest):
    """No snapshot without the TPM's state, and the machine goes on."""
    guest.tpm.stop()
    begin = time.monotonic()
    reason = snapshot(guest, 'save', 'stopped')
    spent = time.monotonic() - begin
    case.check(reason and 'tpm0' in reason, 'swtpm stopped: a snapshot fails '
               'with a reason', reason)
    case.check(spent < SOON, f'within {SOON} seconds', f'{spent:.1f}')
    listed = guest.cmd('human-monitor-command',
                       **{'command-line': 'info snapshots'})
    case.check('stopped' not in listed and TAG in listed,
               'only the one before is kept', listed)
    status = guest.cmd('query-status')['status']
    case.check(status == 'running', 'the machine runs', status)
    size = len(guest.boot.text())
    guest.tpm.cont()
    guest.boot.wait(lambda: len(guest.boot.text()) > size, DEADLINE,
                    'the guest prints again')


def incoming(case, how):
    """The target ends with a reason, and the source goes on."""
    link = os.path.join(case.folder, how + '.sock')
    with case.guest(f'{how}-source') as source:
        source.wait_rounds(1)
        before = source.proxy.registers()
        with case.guest(f'{how}-target',
                        ['-incoming', f'unix:{link}']) as target:
            getattr(target.tpm, how)()
            # So that the source hears of it
            source.cmd('migrate-set-capabilities', capabilities=[
                {'capability': 'return-path', 'state': True}])
            source.cmd('migrate', uri=f'unix:{link}')
            told_by_target(case, how, target)
        state = source.migration_end()
        case.check(state['status'] == 'failed',
                   f'target with swtpm {how}: the migration fails', state)
        source.boot.wait(
            lambda: source.cmd('query-status')['status'] == 'running',
            DEADLINE, 'the source runs')
        case.check(source.next_round() == before, 'the source goes on with '
                   'its TPM')
        source.boot.quit()


def told_by_target(case, how, target):
    try:
        code = target.boot.process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        code = None
    case.check(code == 1, f'target with swtpm {how}: it ends with status 1',
               'it runs' if code is None else code)
    lines = target.boot.text(target.boot.output).split('\n')
    case.check(sum("'tpm0' is lost: " in line for line in lines) == 1,
               'one line says why', lines)


def killed(case):
    incoming(case, 'kill')


def stopped(case):
    incoming(case, 'stop')


CASES = (rolled_back, killed, stopped)


def test(checks):
    for arch in sorted(DEVICES):
        qemu = need_tpm_guest(arch)
        for one in CASES:
            with tpm_folder() as folder:
                case = Case(checks, qemu, arch, folder)
                try:
                    one(case)
                except ToolError as error:
                    case.check(False, one.__name__, error)


def main():
    run('Makes and loads snapshots of guests with swtpm, and migrates guests '
        'to where swtpm does not answer.', test)
