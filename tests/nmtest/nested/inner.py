# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""L2: one run of the QEMU under test inside L1, over L1's ports."""

import os
import select
import socket
import time

from nmtools import ToolError
from nmtools.running import Running

from ..qmp import Qmp
from . import L2_START

COMMON = ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
          '-L', '/qemu/share', '-accel', 'tcg', '-m', '256']
TRACES = ('vm_state_notify', 'vfio_listener_region_add_ram',
          'vfio_listener_region_add_no_dma_map', 'vfio_region_mmap',
          'vfio_msix_relo', 'vfio_msix_fixup')
MACHINE = {'x86_64': ['-machine', 'q35', '-cpu', 'qemu64'],
           'aarch64': ['-machine', 'virt,gic-version=3', '-cpu', 'cortex-a57']}
CONSOLE = {'x86_64': 'ttyS0', 'aarch64': 'ttyAMA0'}


def connect(folder, name):
    """A connection to a socket in a folder, however long its path is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(f'/proc/self/fd/{handle}/{name}')
    except OSError as error:
        sock.close()
        raise ToolError(f'{name}: {error.strerror}') from error
    finally:
        os.close(handle)
    return sock


class Refusal(ToolError):
    """The QEMU under test did not start; the text is what it said."""


class Inner(Running):
    """Ended by force if it did not end by itself."""

    def __init__(self, outer, number, options, words=None, stopped=False):
        """WORDS: boot Linux with them on its command line."""
        self.outer, self.number = outer, number
        self.options = [*COMMON, *MACHINE[outer.arch], *options]
        for event in TRACES:
            self.options += ['-trace', event]
        if words is not None:
            line = (f'console={CONSOLE[outer.arch]} nokaslr quiet '
                    f'mitigations=off panic=-1 {words}')
            # L1 takes @ for a space in an argument
            self.options += ['-kernel', '/l2/vmlinuz',
                             '-initrd', '/l2/initramfs',
                             '-append', line.strip().replace(' ', '@')]
        self._stopped = stopped
        if stopped:
            self.options += ['-S']
        self.options += [
            '-chardev', f'pipe,id=qmp,path=/ports/qmp.{number}',
            '-mon', 'chardev=qmp,mode=control',
            '-chardev', f'pipe,id=con,path=/ports/con.{number}',
            '-serial', 'chardev:con']
        self.qmp = self._console = None
        self._text = ''
        self._running = False

    def start(self):
        folder = self.outer.folder
        self._console = connect(folder, f'con.{self.number}')
        self.qmp = Qmp(connect(folder, f'qmp.{self.number}'))
        self.outer.guest(f'start {self.number} ' + ' '.join(self.options))
        self._running = True
        if not self._stopped:
            self._wait_started()
        self.qmp.connect()
        return self

    def _wait_started(self):
        """The monitor greets before devices are made: so its greeting does
        not tell whether they were refused."""
        end = time.monotonic() + L2_START
        while 'vm_state_notify running 1' not in self.log():
            self.outer.check()
            if not self.outer.guest('running')['running']:
                raise Refusal(self.log().strip())
            if time.monotonic() > end:
                raise ToolError('the QEMU under test did not start within '
                                f'{L2_START} seconds', self.log()[-2000:])
            time.sleep(0.2)

    # --- what it says ---------------------------------------------------

    def log(self):
        """QEMU's messages, traces included."""
        path = os.path.join(self.outer.folder, f'log.{self.number}')
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()

    def console(self):
        """All that L2's console has shown."""
        while select.select([self._console], [], [], 0)[0]:
            data = self._console.recv(65536)
            if not data:
                break
            self._text += data.decode('utf-8', 'replace').replace('\r', '')
        return self._text

    def type(self, line):
        self._console.sendall(line.encode() + b'\n')

    def wait_console(self, words, deadline, begin=0):
        """Until the console shows these words; the text after BEGIN."""
        end = time.monotonic() + deadline
        while words not in self.console()[begin:]:
            self.outer.check()
            if 'Kernel panic' in self._text or time.monotonic() > end:
                raise ToolError(f"L2's console does not show '{words}'",
                                '\n'.join(self._text.split('\n')[-15:]))
            time.sleep(0.2)
        return self._text[begin:]

    def cmd(self, name, **arguments):
        return self.qmp.cmd(name, **arguments)

    def hmp(self, line):
        return self.cmd('human-monitor-command', **{'command-line': line})

    # --- end ------------------------------------------------------------

    def quit(self):
        """End QEMU over QMP; its exit status."""
        try:
            self.cmd('quit')
        except ToolError:
            pass
        return self.wait_end()

    def wait_end(self):
        """Until QEMU has ended; its exit status."""
        end = time.monotonic() + L2_START
        while self.outer.guest('running')['running']:
            if time.monotonic() > end:
                raise ToolError('the QEMU under test did not end within '
                                f'{L2_START} seconds', self.log()[-2000:])
            self.console()      # so that it is not held up
            time.sleep(0.2)
        status = self.outer.guest('end')['status']
        self._running = False
        return status

    def close(self):
        try:
            if self._running and self.outer.process.poll() is None:
                self.outer.guest('kill')
        finally:
            self._running = False
            if self.qmp:
                self.qmp.close()
            if self._console:
                self._console.close()
