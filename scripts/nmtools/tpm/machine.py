# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A QEMU that boots with UEFI and a TPM, and what it has measured."""

import mmap
import os
import shutil
import subprocess
import time

from .. import ToolError, qmp
from ..running import Emulator, die_with_parent
from . import eventlog, pcrs

MIB = 1 << 20
CHUNK = 64 * MIB
START_SECONDS = 60
MACHINES = {
    'x86_64': {'type': 'q35', 'cpu': 'max', 'base': 0, 'low': 2048 * MIB,
               'device': 'tpm-tis'},
    'aarch64': {'type': 'virt', 'cpu': 'cortex-a57', 'base': 1 << 30,
                'low': 1 << 40, 'device': 'tpm-tis-device'},
}
# Debian's places first, then those of other distributions
FIRMWARE = {
    'x86_64': (('/usr/share/OVMF/OVMF_CODE_4M.fd',
                '/usr/share/OVMF/OVMF_VARS_4M.fd'),
               ('/usr/share/edk2/ovmf/OVMF_CODE.fd',
                '/usr/share/edk2/ovmf/OVMF_VARS.fd')),
    # The one without Secure Boot has no TPM in newer releases
    'aarch64': (('/usr/share/AAVMF/AAVMF_CODE.secboot.fd',
                 '/usr/share/AAVMF/AAVMF_VARS.fd'),
                ('/usr/share/AAVMF/AAVMF_CODE.fd',
                 '/usr/share/AAVMF/AAVMF_VARS.fd')),
}


def find_firmware(arch):
    """The code and the variables of this machine's UEFI for guests."""
    for code, variables in FIRMWARE[arch]:
        if os.path.exists(code) and os.path.exists(variables):
            return code, variables
    packages = ('ovmf (edk2-ovmf where there is dnf)' if arch == 'x86_64' else
                'qemu-efi-aarch64 (edk2-aarch64 where there is dnf)')
    raise ToolError(f'no UEFI firmware for {arch} here; install {packages}, '
                    'or give --firmware and --vars')


def escaped(path):
    return os.path.abspath(path).replace(',', ',,')


class Boot(Emulator):
    """QEMU, its monitor and its console's file.

    OPTIONS: device, machine (added to -machine), cpu, memory (MiB), firmware
    (code, variables; None: no firmware), extra (a list), and what to add to
    -chardev and -tpmdev."""

    monitor = qmp.Monitor

    def __init__(self, binary, arch, folder, tpm, stop, name='boot',
                 **options):
        self.arch, self.folder, self.name = arch, folder, name
        self.console = os.path.join(folder, name + '.console')
        self.output = os.path.join(folder, name + '.output')
        self.memory = options.get('memory', 512)
        self._binary, self._tpm, self._stop = binary, tpm, stop
        self._options = options
        self._socket = os.path.join(folder, name + '.qmp')

    def command(self):
        kind = MACHINES[self.arch]
        options = self._options
        device = options.get('device') or kind['device']
        return [
            self._binary, '-nodefaults', '-no-user-config',
            '-display', 'none', '-accel', options.get('accel', 'tcg'),
            '-machine', kind['type'] + options.get('machine', ''),
            '-cpu', options.get('cpu') or kind['cpu'],
            '-m', str(self.memory), '-name', self.name,
            '-serial', f'file:{escaped(self.console)}',
            '-qmp', f'unix:{escaped(self._socket)},server=on,wait=off',
            *self._flash(options.get('firmware')),
            '-chardev', f'socket,id=tpmchar,path={escaped(self._tpm)}'
                        + options.get('chardev', ''),
            '-tpmdev', 'emulator,id=tpm0,chardev=tpmchar'
                       + options.get('tpmdev', ''),
            '-device', f'{device},tpmdev=tpm0',
            *options.get('extra', ())]

    def _flash(self, firmware):
        """Firmware with variables of its own: the boot order in them is
        measured, so each machine begins with fresh ones."""
        if not firmware:
            return []
        code, variables = firmware
        copy = os.path.join(self.folder, self.name + '.vars')
        if not os.path.exists(copy):
            shutil.copyfile(variables, copy)
        return ['-drive', 'if=pflash,format=raw,unit=0,readonly=on,'
                          f'file={escaped(code)}',
                '-drive', 'if=pflash,format=raw,unit=1,'
                          f'file={escaped(copy)}']

    def start(self):
        try:
            with open(self.output, 'wb') as log:
                self.process = subprocess.Popen(
                    self.command(), stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, preexec_fn=die_with_parent)
        except OSError as error:
            raise ToolError(f'{self._binary} cannot be run: '
                            f'{error.strerror}') from error
        end = time.monotonic() + START_SECONDS
        while self.qmp is None:
            self.check()
            try:
                self.qmp = self.monitor(self._socket, self._stop)
            except qmp.Unreachable:
                if time.monotonic() > end:
                    raise
                self._stop.sleep(0.1)
        return self

    def check(self):
        """Raise if QEMU has ended."""
        code = self.process.poll()
        if code is not None:
            words = self.text(self.output).strip().split('\n')[-1]
            raise ToolError(f'QEMU ended with status {code}: '
                            f'{words or "it said nothing"}')

    def text(self, path=None):
        """What the guest has printed."""
        try:
            with open(path or self.console, encoding='utf-8',
                      errors='replace') as file:
                return file.read().replace('\r', '')
        except OSError:
            return ''

    def wait(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            self.check()
            if time.monotonic() > end:
                tail = self.text().strip().split('\n')[-1][-200:]
                raise ToolError(f'{what}: not within {seconds} seconds; the '
                                f'console ends with: {tail or "nothing"}')
            self._stop.sleep(0.1)

    def memory_image(self):
        """The memory below 2 GiB (x86_64) or all of it, in a file; the
        machine should stand still meanwhile."""
        kind = MACHINES[self.arch]
        path = os.path.join(self.folder, self.name + '.ram')
        part = path + '.part'
        left, at = min(self.memory * MIB, kind['low']), kind['base']
        with open(path, 'wb') as image:
            while left:
                size = min(left, CHUNK)
                self.qmp.cmd('pmemsave', val=at, size=size, filename=part)
                with open(part, 'rb') as file:
                    shutil.copyfileobj(file, image)
                at, left = at + size, left - size
        os.unlink(part)
        return path


def judge(banks, events, among=None):
    """{bank: registers of which the log tells something else}."""
    return {bank: eventlog.mismatches(events, bank, values,
                                      among or pcrs.LOGGED)
            for bank, values in banks.items()
            if all(bank in event.digests for event in events
                   if event.type != eventlog.EV_NO_ACTION)}


def best_log(data, extends, banks):
    """The events of that log in memory that tells the registers best, or
    None if there is no log."""
    # What Linux measures itself stands in its own log
    extends = [one for one in extends if one.pcr != pcrs.IMA]
    best, fewest = None, None
    for log in eventlog.find_all(data):
        events = eventlog.complete(data, log, extends)
        wrong = sum(map(len, judge(banks, events).values()))
        if best is None or wrong < fewest:
            best, fewest = events, wrong
        if not wrong:
            break
    return best


def read_memory_log(boot, proxy, banks):
    """Stop the machine, look for its log, and let it go on."""
    boot.qmp.cmd('stop')
    try:
        path = boot.memory_image()
    finally:
        boot.qmp.cmd('cont')
    try:
        with open(path, 'rb') as file, \
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return best_log(data, list(proxy.extends), banks)
    finally:
        os.unlink(path)
