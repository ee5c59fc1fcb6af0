# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""swtpm, which carries out the commands of a vTPM, as a child process."""

import array
import os
import shutil
import signal
import socket
import struct
import subprocess
import time

from .. import ToolError
from ..running import die_with_parent
from . import commands

DEADLINE = 60
CTRL_INIT, CTRL_SHUTDOWN, CTRL_SET_DATAFD = 2, 3, 16
LISTENING = '00010000'       # flags of such a socket in /proc/net/unix


def pass_fd(sock, message, descriptor):
    """Send a message with a file descriptor."""
    rights = array.array('i', [descriptor])
    sock.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def receive(sock, size, what):
    """Exactly SIZE bytes."""
    data = b''
    while len(data) < size:
        try:
            part = sock.recv(size - len(data))
        except OSError as error:
            raise ToolError(f'swtpm: {what}: {error}') from None
        if not part:
            raise ToolError(f'swtpm: {what}: the connection was closed')
        data += part
    return data


class Swtpm:
    """A TPM with its state in FOLDER, and its socket there."""

    def __init__(self, folder, name='swtpm', version='2.0'):
        self.folder = folder
        self.path = os.path.join(folder, name + '.sock')
        self.state = os.path.join(folder, name + '.state')
        self._log = os.path.join(folder, name + '.log')
        self._version = version
        self.process = None

    def start(self):
        program = shutil.which('swtpm')
        if not program:
            raise ToolError('swtpm is not installed; run scripts/setup or '
                            'install the package swtpm')
        os.makedirs(self.state, exist_ok=True)
        if os.path.exists(self.path):
            os.unlink(self.path)
        command = [program, 'socket', '--tpmstate', f'dir={self.state}',
                   '--ctrl', f'type=unixio,path={self.path}']
        if self._version == '2.0':
            command.append('--tpm2')
        with open(self._log, 'ab') as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent)
        end = time.monotonic() + DEADLINE
        while not self._listens():
            if self.process.poll() is not None:
                raise ToolError(f'swtpm ended: {self._last_words()}')
            if time.monotonic() > end:
                raise ToolError(f'swtpm made no socket in {DEADLINE} seconds')
            time.sleep(0.02)
        return self

    def _listens(self):
        """The socket is there a moment before one can connect to it.  To try
        would be to be a client, of which swtpm serves one."""
        try:
            with open('/proc/net/unix', encoding='utf-8',
                      errors='replace') as file:
                sockets = [line.split(maxsplit=7) for line in file]
        except OSError:
            return os.path.exists(self.path)
        return any(len(one) == 8 and one[3] == LISTENING
                   and one[7].rstrip('\n') == self.path for one in sockets)

    def _last_words(self):
        with open(self._log, encoding='utf-8', errors='replace') as file:
            lines = [line.strip() for line in file if line.strip()]
        return lines[-1] if lines else 'no reason given'

    def connect(self):
        """A control connection; swtpm serves one at a time."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(DEADLINE)
        try:
            sock.connect(self.path)
        except OSError as error:
            sock.close()
            raise ToolError(f'swtpm: {self.path}: {error.strerror}') from None
        return sock

    def allocate(self, banks):
        """Have registers in these banks only, from the next start on."""
        self.start()
        control = self.connect()
        ours, theirs = socket.socketpair()
        ours.settimeout(DEADLINE)
        try:
            pass_fd(control, struct.pack('>I', CTRL_SET_DATAFD),
                    theirs.fileno())
            self._zero(control, 'SET_DATAFD')
            control.sendall(struct.pack('>II', CTRL_INIT, 0))
            self._zero(control, 'INIT')
            self._ask(ours, commands.startup())
            answer = self._ask(ours, commands.allocate(banks))
            if not commands.allocated(answer):
                raise ToolError('the TPM has no room for the banks '
                                + ', '.join(banks))
            self._ask(ours, commands.shutdown())
            control.sendall(struct.pack('>I', CTRL_SHUTDOWN))
            self._zero(control, 'SHUTDOWN')
            self.process.wait(DEADLINE)
        finally:
            for sock in (control, ours, theirs):
                sock.close()
            self.close()

    @staticmethod
    def _zero(control, what):
        code = struct.unpack('>I', receive(control, 4, what))[0]
        if code:
            raise ToolError(f'swtpm: {what}: error {code:#x}')

    @staticmethod
    def _ask(data, command):
        data.sendall(command)
        head = receive(data, commands.HEADER, 'a command')
        rest = receive(data, commands.size_of(head) - len(head), 'a command')
        commands.check('setup', head + rest)
        return head + rest

    # --- what a test does to it ---------------------------------------------

    def stop(self):
        """Stop it as a debugger would: it keeps its connections, silently."""
        self.process.send_signal(signal.SIGSTOP)

    def cont(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)

    def restart(self):
        """A new one with the state that the old one has kept."""
        self.close()
        return self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def close(self):
        if self.alive():
            self.kill()
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_unused):
        self.close()
