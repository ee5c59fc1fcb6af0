# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A guest with swtpm, for tests."""

import json
import os
import re
import shutil
import tempfile
import threading
import time

from nmtools import ToolError, qmp
from nmtools.running import Running
from nmtools.stop import Stop
from nmtools.tpm import machine
from nmtools.tpm.proxy import Proxy
from nmtools.tpm.swtpm import Swtpm

from ..kit import Unavailable
from ..testing import Skip, patched_qemu
from .esp import make_tpm_kit, tpm_kit_file

# Generous: a boot under emulation on a busy machine took over a minute
BOOT = 600
DEADLINE = 300
CONSOLES = {'x86_64': 'ttyS0', 'aarch64': 'ttyAMA0'}
# Firmware and boot loader leave the cursor anywhere in a line
END = 'nearmetal-tpm: end '
LINE = re.compile(r'nearmetal-tpm: (.*)')


def need_tpm_guest(arch):
    """Make what a guest with a TPM takes.  Returns: the QEMU to run it."""
    if not shutil.which('swtpm'):
        raise Skip('swtpm is not installed; run scripts/setup')
    qemu = patched_qemu(arch)
    try:
        make_tpm_kit(arch)
    except Unavailable:
        raise Skip(f'no {arch} kernel or GRUB: not in the cache and the '
                   'Debian mirror cannot be reached') from None
    return qemu


def tpm_folder():
    """Short: the path of a socket has 107 characters at most."""
    return tempfile.TemporaryDirectory(prefix='nm-tpm.',
                                       ignore_cleanup_errors=True)


def words(arch, more=''):
    """The guest's kernel command line."""
    return (f'console={CONSOLES[arch]} quiet loglevel=1 panic=-1 '
            + more).strip()


def direct_options(arch, more=''):
    """-kernel and so on: the guest without firmware or boot loader."""
    return ['-kernel', tpm_kit_file(arch, 'vmlinuz'),
            '-initrd', tpm_kit_file(arch, 'initramfs.cpio.gz'),
            '-append', words(arch, more)]


class Printed:
    """What the guest has said since it was started for the BOOTth time."""

    def __init__(self, text, boot=1):
        self.lines = []
        count = 0
        for line in LINE.findall(text):
            count += line == 'init'
            if count == boot:
                self.lines.append(line)
        self.started = count >= boot

    def rounds(self):
        """How often all registers were printed."""
        return sum(line.startswith('end ') for line in self.lines)

    def registers(self, number=0):
        """{bank: values} of a round, the last one by default."""
        number = number or self.rounds()
        banks = {}
        rounds = 1
        for line in self.lines:
            parts = line.split()
            if parts[0] == 'end':
                rounds += 1
            elif parts[0] == 'pcr' and rounds == number:
                try:
                    value = bytes.fromhex(parts[3])
                except (IndexError, ValueError):
                    value = None        # an error instead of a value
                banks.setdefault(parts[1], []).append(value)
        return banks

    def log(self):
        """The event log in base64."""
        return ''.join(line[4:] for line in self.lines
                       if line.startswith('log ') and line != 'log none')

    def facts(self, name):
        """All that was said behind a word, in order."""
        return [line[len(name) + 1:] for line in self.lines
                if line.startswith(name + ' ')]

    def has(self, begin):
        return any(line.startswith(begin) for line in self.lines)


class Listener(qmp.Monitor):
    """A monitor that keeps the events."""

    def __init__(self, *args):
        self.events = []
        super().__init__(*args)

    def _line(self, end):
        line = super()._line(end)
        try:
            message = json.loads(line)
        except ValueError:
            message = {}
        if 'event' in message:
            self.events.append(message)
        return line

    def named(self, name):
        """Data of the events of a name so far."""
        self.cmd('query-status')        # reads what has come
        return [event.get('data', {}) for event in self.events
                if event['event'] == name]


class Watcher:
    """A second client that asks all the time: how long does QEMU need?"""

    def __init__(self, path):
        self.slowest = 0.0
        self.answers = 0
        self.failure = None
        self._ending = threading.Event()
        self._monitor = qmp.Monitor(path, Stop())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ending.wait(0.1):
            begin = time.monotonic()
            try:
                self._monitor.cmd('query-status')
            except ToolError as error:
                self.failure = error
                return
            self.slowest = max(self.slowest, time.monotonic() - begin)
            self.answers += 1

    def close(self):
        self._ending.set()
        self._thread.join(DEADLINE)
        self._monitor.close()


class TpmTest:
    """What the parts of a test share: an architecture, its QEMU, a folder."""

    def __init__(self, checks, qemu, arch, folder):
        self._checks = checks
        self.qemu, self.arch, self.folder = qemu, arch, folder

    def check(self, good, text, detail=''):
        return self._checks.check(good, f'{self.arch}: {text}', detail)


class Guest(Running):
    """swtpm, a proxy in between, and QEMU, named NAME in FOLDER."""

    def __init__(self, qemu, arch, folder, name='guest', proxy=True,
                 version='2.0', **options):
        self.tpm = Swtpm(folder, name + '-tpm', version)
        self._version = version
        self._proxied = proxy
        self.proxy = None
        self.boot = None
        self._make = lambda path: machine.Boot(
            qemu, arch, folder, path, Stop(), name, **options)
        self._socket = os.path.join(folder, name + '-proxy.sock')

    def start(self):
        if self._version == '2.0':
            self.tpm.allocate(('sha1', 'sha256'))
        self.tpm.start()
        path = self.tpm.path
        if self._proxied:
            path = self._socket
            self.proxy = Proxy(path, self.tpm.path)
        self.boot = self._make(path)
        self.boot.monitor = Listener
        self.boot.start()
        return self

    def printed(self, boot=1):
        return Printed(self.boot.text(), boot)

    def wait_rounds(self, count=1, boot=1, seconds=BOOT):
        """Until all registers were printed COUNT times in a boot."""
        self.boot.wait(lambda: self.printed(boot).rounds() >= count, seconds,
                       f'round {count} of registers in boot {boot}')
        return self.printed(boot)

    def next_round(self, seconds=BOOT):
        """The registers of a round that begins from now on."""
        start = len(self.boot.text())
        self.boot.wait(
            lambda: self.boot.text()[start:].count(END) >= 2, seconds,
            'a whole round of registers')
        text = self.boot.text()[start:]
        # Without the round that had begun already
        text = text[text.index('\n', text.index(END)):]
        return Printed('nearmetal-tpm: init' + text).registers(1)

    def cmd(self, name, **arguments):
        return self.boot.qmp.cmd(name, **arguments)

    def migration_end(self):
        """Wait for the end of a migration from here; what became of it."""
        state = {}

        def ended():
            state.update(self.cmd('query-migrate'))
            return state['status'] in ('failed', 'completed', 'cancelled')
        self.boot.wait(ended, DEADLINE, 'the end of the migration')
        return state

    def close(self):
        if self.boot:
            self.boot.close()
        if self.proxy:
            self.proxy.close()
        if self.tpm.process:
            self.tpm.cont()
        self.tpm.close()
