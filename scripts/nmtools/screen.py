# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A terminal that shows one page again and again, at whatever size it has."""

import os
import signal
import sys
import termios
import tty

ALTERNATE, BACK = '\033[?1049h\033[?25l', '\033[?25h\033[?1049l'


class Screen:
    """The terminal, and the keyboard if stdin is one; put back in the end."""

    def __init__(self):
        self._keys = None

    def __enter__(self):
        try:
            if sys.stdin.isatty():
                self._keys = termios.tcgetattr(sys.stdin)
                tty.setcbreak(sys.stdin)
        except (termios.error, ValueError, AttributeError):
            self._keys = None
        sys.stdout.write(ALTERNATE)
        return self

    def __exit__(self, *_unused):
        if self._keys:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._keys)
        try:
            sys.stdout.write(BACK)
            sys.stdout.flush()
        except OSError:
            pass        # the terminal has gone

    def files(self):
        return [sys.stdin] if self._keys else []

    def key(self):
        """A key that was pressed, '' if the terminal has gone; the caller
        knows that there is one."""
        data = os.read(sys.stdin.fileno(), 16)
        if not data:
            self._keys = None       # and no more of them
        return data[:1].decode('ascii', 'replace')

    def suspend(self):
        """Stop as ^Z does, with the terminal as it was, until continued."""
        self.__exit__()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.__enter__()

    @staticmethod
    def size():
        """Columns and lines at present, whatever the environment says."""
        try:
            columns, lines = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            columns, lines = 0, 0
        return columns or 80, lines or 24

    @staticmethod
    def show(lines):
        """The page; the caller has cut it to size."""
        text = '\n'.join(line + '\033[K' for line in lines)
        sys.stdout.write('\033[H' + text + '\033[J')
        sys.stdout.flush()
