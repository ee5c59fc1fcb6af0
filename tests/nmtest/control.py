# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guest's command port and its console."""

import re
import select
import time

from nmtools import ToolError

TAIL_LINES = 15
PANIC = re.compile(r'Kernel panic|nearmetal-guest: error: ?(.*)')


class Console:
    """The log file of the guest's serial console."""

    def __init__(self, path):
        self.path = path

    def text(self):
        try:
            with open(self.path, 'rb') as file:
                return file.read().decode('utf-8', 'replace').replace('\r', '')
        except OSError:
            return ''

    def has(self, words):
        return words in self.text()

    def trouble(self):
        """The line in which the guest says that it failed, or None."""
        for line in self.text().split('\n'):
            if PANIC.search(line):
                return line.strip()
        return None

    def tail(self):
        lines = [line for line in self.text().split('\n') if line.strip()]
        return '\n'.join(lines[-TAIL_LINES:])


class Control:
    """Line by line on the guest's port; the caller watches the machine."""

    def __init__(self, sock):
        self._sock = sock
        self._sock.setblocking(False)
        self._buffer = b''

    def close(self):
        self._sock.close()

    def send(self, line):
        try:
            self._sock.sendall(line.encode() + b'\n')
        except OSError as error:
            raise ToolError("the guest's command port is closed") from error

    def _line(self):
        line, found, rest = self._buffer.partition(b'\n')
        if not found:
            return None
        self._buffer = rest
        return line.decode('utf-8', 'replace').strip()

    def receive(self, wait):
        """The next line, or None when none came within WAIT seconds."""
        end = time.monotonic() + wait
        while True:
            line = self._line()
            if line is not None:
                return line
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._sock], [], [], left)[0]:
                return None
            try:
                data = self._sock.recv(4096)
            except OSError:
                data = b''
            if not data:
                time.sleep(min(left, 0.2))  # closed: the machine is ending
                return None
            self._buffer += data
