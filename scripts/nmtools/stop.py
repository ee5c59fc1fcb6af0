# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Signals that end a program only where it can clean up.

A handler just takes a note and wakes whoever waits; the program raises Stopped
where it waits or asks.  So no signal falls between a change and the note that
says how to undo it."""

import contextlib
import select
import signal
import socket
import time

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Stopped(Exception):
    """The user, or the system, wants the program to end."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class Stop:
    """Waits that a signal ends."""

    def __init__(self):
        self._number = 0
        self._shielded = False
        self._told = None
        self._seen = set()
        self._awake, self._wake = socket.socketpair()
        self._awake.setblocking(False)
        self._wake.setblocking(False)

    def install(self):
        """Take over the signals; in the main thread only."""
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for number in ENDING:
            # What a parent ignores (nohup) stays ignored
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)
        return self

    def _note(self, number, _frame):
        if self._shielded and self._told:
            self._told()
        if not self._number:
            self._number = number

    def watch(self, *numbers):
        """Signals that end a select, and nothing else; see seen()."""
        for number in numbers:
            signal.signal(number, lambda n, _frame: self._seen.add(n))

    def seen(self, number):
        """Has this signal come since it was last asked for?"""
        if number not in self._seen:
            return False
        self._seen.discard(number)
        return True

    def check(self):
        if self._number and not self._shielded:
            raise Stopped(self._number)

    @contextlib.contextmanager
    def shield(self, told=None):
        """Signals have to wait; TOLD is called for each that comes."""
        self._shielded, self._told = True, told
        try:
            yield
        finally:
            self._shielded, self._told = False, None

    def select(self, seconds, files=()):
        """The files that can be read, [] after SECONDS or a signal."""
        self.check()
        ready = select.select([self._awake, *files], [], [],
                              max(seconds, 0))[0]
        if self._awake in ready:
            ready.remove(self._awake)
            self._drain()
        self.check()
        return ready

    def _drain(self):
        try:
            while self._awake.recv(64):
                pass
        except BlockingIOError:
            pass

    def sleep(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.select(left)
