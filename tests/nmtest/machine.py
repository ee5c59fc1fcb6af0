# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""One QEMU with the small guest: started, spoken to and surely ended."""

import os
import socket
import subprocess
import time

from nmtools import ToolError
from nmtools.qmp import Refused
from nmtools.running import Emulator, die_with_parent

from . import BOOT_DEADLINE, COMMAND_DEADLINE, shown
from .control import Console, Control
from .kit import direct_io_works, kit_file
from .qmp import Qmp

IOTHREAD = '/objects/iothread0'

MACHINES = {
    'x86_64': {'type': 'q35', 'console': 'ttyS0',
               'early': 'earlyprintk=ttyS0', 'cpu': 'max'},
    'aarch64': {'type': 'virt', 'console': 'ttyAMA0',
                'early': 'earlycon', 'cpu': 'max,pauth-impdef=on'},
}


def machine_options(arch, accel, machine=None, cpu=None):
    """-machine, -cpu and -accel of a guest."""
    kind = machine or MACHINES[arch]['type']
    if accel == 'kvm':
        cpu = 'host'
        if arch == 'aarch64':
            kind += ',gic-version=host'
    return ['-machine', kind, '-accel', accel,
            '-cpu', cpu or MACHINES[arch]['cpu']]


def kernel_options(arch, extra=''):
    words = (f"console={MACHINES[arch]['console']} nokaslr mitigations=off "
             f'quiet loglevel=4 panic=-1 {extra}').strip()
    return ['-kernel', kit_file(arch, 'vmlinuz'),
            '-initrd', kit_file(arch, 'initramfs.cpio.gz'),
            '-append', words]


class Machine(Emulator):
    """A guest with a virtio disk on an IOThread."""

    def __init__(self, qemu, arch, folder, **options):
        self.qemu, self.arch, self.folder = qemu, arch, folder
        self.accel = options.get('accel', 'tcg')
        self.name = options.get('name', 'guest')
        self.disk = options.get('disk', os.path.join(folder, 'disk.img'))
        self.options = options
        self.native = direct_io_works(self.disk)
        self.console = Console(os.path.join(folder, self.name + '.console'))
        self.output = os.path.join(folder, self.name + '.output')
        self.control = None

    # --- start ----------------------------------------------------------

    def command(self, qmp_fd, control_fd):
        aio = 'native,cache.direct=on' if self.native else 'threads'
        disk = os.path.abspath(self.disk).replace(',', ',,')
        return [
            self.qemu, '-nodefaults', '-no-user-config', '-display', 'none',
            '-no-reboot', '-m', '256', '-smp', '1',
            *machine_options(self.arch, self.accel,
                             self.options.get('machine'),
                             self.options.get('cpu')),
            *kernel_options(self.arch),
            '-chardev', f'socket,id=qmp,fd={qmp_fd}',
            '-mon', 'chardev=qmp,mode=control',
            '-serial', f'file:{self.name}.console',
            '-object', 'iothread,id=iothread0',
            '-blockdev', 'driver=file,node-name=file0,'
                         f'filename={disk},aio={aio}',
            '-blockdev', 'driver=raw,node-name=disk0,file=file0'
                         + (',cache.direct=on' if self.native else ''),
            '-device', 'virtio-blk-pci,id=blk0,drive=disk0,iothread=iothread0'
                       + self.options.get('disk_options', ''),
            '-chardev', f'socket,id=control,fd={control_fd}',
            '-device', 'virtio-serial-pci,id=serial0',
            '-device', 'virtserialport,chardev=control,'
                       'name=nearmetal.control',
            *self.options.get('extra', ()),
        ]

    def start(self):
        """Start QEMU and connect; the guest still boots."""
        self.launch()
        self.connect()
        return self

    def launch(self):
        """Start QEMU, which may wait for something before it has a monitor."""
        monitor, qmp_side = socket.socketpair()
        control, control_side = socket.socketpair()
        descriptors = (qmp_side.fileno(), control_side.fileno())
        try:
            with open(self.output, 'wb') as log:
                self.process = subprocess.Popen(
                    self.command(*descriptors), cwd=self.folder,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    pass_fds=descriptors, preexec_fn=die_with_parent)
        except OSError as error:
            monitor.close()
            control.close()
            raise ToolError(f'{shown(self.qemu)} cannot be run: '
                            f'{error.strerror}') from error
        finally:
            qmp_side.close()
            control_side.close()
        self.control = Control(control)
        self.qmp = Qmp(monitor)

    def connect(self):
        try:
            self.qmp.connect()
        except ToolError as error:
            self.explain(error)

    def wait_ready(self, deadline=BOOT_DEADLINE):
        """Until the guest's /init takes commands."""
        self.wait(lambda: self.console.has('nearmetal-guest: ready'),
                  deadline, 'the guest did not boot')
        self.guest('ping')

    # --- while it runs --------------------------------------------------

    def check(self):
        """Raise if QEMU died or the guest failed."""
        code = self.process.poll()
        if code is not None:
            how = (f'was killed by signal {-code}' if code < 0
                   else f'ended with status {code}')
            raise ToolError(f'QEMU {how}{self._last_words()}',
                            self.console.tail())
        trouble = self.console.trouble()
        if trouble:
            raise ToolError(f'the guest failed: {trouble}',
                            self.console.tail())

    def explain(self, error):
        """Raise the cause behind an error: mostly that QEMU has gone."""
        end = time.monotonic() + 2
        while time.monotonic() < end:
            self.check()
            time.sleep(0.05)
        raise ToolError(str(error), self.console.tail()) from error

    def wait(self, condition, deadline, failure):
        end = time.monotonic() + deadline
        while not condition():
            self.check()
            if time.monotonic() > end:
                raise ToolError(f'{failure} within {deadline} seconds',
                                self.console.tail())
            time.sleep(0.05)

    def cmd(self, name, **arguments):
        """A QMP command; an error names the real cause."""
        try:
            return self.qmp.cmd(name, **arguments)
        except Refused:
            raise
        except ToolError as error:
            return self.explain(error)

    def guest(self, line, deadline=COMMAND_DEADLINE):
        """A command for the guest; its answer as a dictionary."""
        try:
            self.control.send(line)
        except ToolError as error:
            self.explain(error)
        end = time.monotonic() + deadline
        while True:
            answer = self.control.receive(0.5)
            if answer is not None:
                break
            self.check()
            if time.monotonic() > end:
                # If QEMU does not answer either, it is QEMU that hangs
                self.cmd('query-status')
                raise ToolError(f"the guest did not answer '{line}' within "
                                f'{deadline} seconds', self.console.tail())
        words = answer.split()
        if not words or words[0] != 'ok':
            raise ToolError(f"the guest answered '{line}' with '{answer}'",
                            self.console.tail())
        return {key: int(value) for key, _, value in
                (word.partition('=') for word in words[1:])
                if value.isdigit()}

    def sleep(self, seconds):
        """Wait, and notice at once when QEMU or the guest fails."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.2))

    def _last_words(self):
        try:
            with open(self.output, encoding='utf-8', errors='replace') as file:
                lines = [line.strip() for line in file if line.strip()]
        except OSError:
            lines = []
        return ': ' + lines[-1] if lines else ''

    # --- end ------------------------------------------------------------

    def power_off(self, deadline=COMMAND_DEADLINE):
        """Let the guest power off; QEMU must then end with status 0."""
        self.guest('poweroff')
        try:
            code = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise ToolError('the guest did not power off within '
                            f'{deadline} seconds',
                            self.console.tail()) from None
        if code or not self.console.has('nearmetal-guest: power off'):
            self.check()

    def close(self):
        super().close()
        if self.control:
            self.control.close()
            self.control = None
