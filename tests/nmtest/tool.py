# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A tool of scripts/ as a child of a test."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import tempfile
import termios
import time

from nmtools import ToolError

from . import ROOT

DEADLINE = 150
TOP = os.path.join(ROOT, 'scripts', 'iothread-top')
TUNE = os.path.join(ROOT, 'scripts', 'iothread-tune')


def until(condition, what):
    """Wait for something that must come."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise ToolError(f'not within {DEADLINE} seconds: {what}')
        time.sleep(0.02)


def tool(program, *args, environment=None, deadline=DEADLINE):
    """Run a tool to its end: status, stdout, stderr."""
    try:
        done = subprocess.run([program, *args], check=False, text=True,
                              stdin=subprocess.DEVNULL, timeout=deadline,
                              capture_output=True,
                              env={**os.environ, **(environment or {})})
    except subprocess.TimeoutExpired:
        raise ToolError(f"'{os.path.basename(program)} {' '.join(args)}' did "
                        f'not end within {deadline} seconds') from None
    return done.returncode, done.stdout, done.stderr


def one_line(program, err, words):
    """Is this one line of error that has these words?"""
    lines = err.strip().split('\n')
    name = os.path.basename(program)
    return (len(lines) == 1 and lines[0].startswith(f'{name}: error: ')
            and words in lines[0])


class Running:
    """A tool under way, to be disturbed."""

    deadline = DEADLINE

    def __init__(self, program, *args, **options):
        self.program = os.path.basename(program)
        self._log = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen([program, *args], stdout=self._log,
                                        stderr=self._log,
                                        stdin=subprocess.DEVNULL, **options)

    def text(self):
        self._log.seek(0)
        return self._log.read()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """The exit status and all output."""
        try:
            return self.process.wait(self.deadline), self.text()
        except subprocess.TimeoutExpired:
            raise ToolError(f'{self.program} did not end within '
                            f'{self.deadline} seconds', self.text()) from None

    def __enter__(self):
        return self

    def __exit__(self, *_unused):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()


class Terminal:
    """A tool on a terminal of its own."""

    def __init__(self, program, *args, size=(80, 24), term='xterm'):
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ['TERM'] = term
            os.environ.pop('NO_COLOR', None)
            try:
                # The size is there before the tool asks for it
                fcntl.ioctl(0, termios.TIOCSWINSZ, _winsize(size))
                os.execv(program, [program, *args])
            finally:
                os._exit(127)
        self.output = ''

    def resize(self, size):
        """The kernel sends SIGWINCH."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, _winsize(size))

    def press(self, keys):
        os.write(self._fd, keys.encode())

    def read(self, seconds=0.1):
        """Take what it has written; False when it has closed the terminal."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            return False
        self.output += data.decode('utf-8', 'replace')
        return bool(data)

    def until(self, words):
        """Wait for a text that is written from now on."""
        begin = len(self.output)
        until(lambda: not self.read() or words in self.output[begin:],
              f"the terminal shows '{words}'")
        if words not in self.output[begin:]:
            raise ToolError(f"the tool ended before '{words}'", self.output)
        return self.output[begin:]

    def wait(self):
        """The exit status, after all output."""
        until(lambda: not self.read(), 'the tool has ended')
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def __enter__(self):
        return self

    def __exit__(self, *_unused):
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self._fd)


def _winsize(size):
    columns, lines = size
    return struct.pack('HHHH', lines, columns, 0, 0)
