# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Stands between QEMU and swtpm, sees what the guest does with its TPM, and
asks for registers itself between two commands of the guest.

swtpm serves one client, QEMU, so nothing else could ask it.  Control messages
pass as they are, but for the one that hands over the data channel: swtpm gets
one of the proxy instead."""

import os
import queue
import select
import socket
import struct
import threading
import time

from .. import ToolError
from . import commands, eventlog
from .swtpm import CTRL_INIT, CTRL_SET_DATAFD, pass_fd

ANSWER_SECONDS = 120
CHUNK = 65536


class _Question:
    """A command of the proxy's user, and the event of its answer."""

    def __init__(self, command):
        self.command = command
        self.answer = None
        self.done = threading.Event()


class Proxy:
    """Listens at PATH for QEMU and talks to TARGET, swtpm's socket.

    EXTENDS, COMMANDS and LAST (when the last extend was) belong to the
    proxy's thread; others only read them."""

    def __init__(self, path, target):
        self.path = path
        self._target = target
        self.extends, self.commands, self.errors = [], 0, 0
        self.starts = 0
        self.last = time.monotonic()
        self.failure = None
        self._questions = queue.SimpleQueue()
        self._asked = None          # the question that the TPM works on
        self._busy = False          # the TPM works on a command of the guest
        self._held = b''            # bytes of a command that is not complete
        self._reply = b''
        self._pending = None        # the Extend that the TPM works on
        self._control = self._swtpm = self._guest = self._tpm = None
        self._awake, self._wake = socket.socketpair()
        self._awake.setblocking(False)
        self._wake.setblocking(False)
        self._ending = False
        if os.path.exists(path):
            os.unlink(path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(4)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # --- for its user -------------------------------------------------------

    def ask(self, command, seconds=ANSWER_SECONDS):
        """The TPM's answer to a command, after that of the guest if any."""
        question = _Question(command)
        self._questions.put(question)
        self._poke()
        end = time.monotonic() + seconds
        while not question.done.wait(0.2):
            if self.failure:
                raise ToolError(f'the TPM proxy failed: {self.failure}')
            if time.monotonic() > end:
                raise ToolError(f'the TPM did not answer in {seconds} seconds')
        if question.answer is None:
            raise ToolError('the TPM has no connection; does the VM run?')
        return question.answer

    def registers(self):
        """{bank: [24 values]} of the banks that the TPM has."""
        banks = {}
        for algorithm, name in eventlog.BANKS.items():
            values = commands.read_registers(self.ask, algorithm)
            if values:
                banks[name] = values
        return banks

    def quiet(self):
        """Seconds since the last extend."""
        return time.monotonic() - self.last

    def close(self):
        self._ending = True
        self._poke()
        self._thread.join(ANSWER_SECONDS)
        for sock in (self._control, self._swtpm, self._guest, self._tpm,
                     self._listener):
            if sock:
                sock.close()

    def _poke(self):
        try:
            self._wake.send(b'x')
        except BlockingIOError:
            pass            # it is awake, or will be

    # --- the thread ---------------------------------------------------------

    def _run(self):
        try:
            while not self._ending:
                self._turn()
        except Exception as error:      # pylint: disable=broad-except
            self.failure = f'{type(error).__name__}: {error}'
        self._refuse_questions()

    def _turn(self):
        """Serve whoever has something to say."""
        actions = {self._awake: self._drain_wake,
                   self._listener: self._accept,
                   self._control: self._from_qemu,
                   self._swtpm: self._from_swtpm,
                   self._guest: self._from_guest, self._tpm: self._from_tpm}
        actions.pop(None, None)
        ready = select.select(list(actions), [], [], 1)[0]
        for sock in ready:
            # An action before may have closed it
            if sock.fileno() >= 0:
                actions[sock]()
        self._next()

    def _drain_wake(self):
        try:
            self._awake.recv(64)
        except BlockingIOError:
            pass

    def _accept(self):
        sock, _ = self._listener.accept()
        self._drop()
        target = socket.socket(socket.AF_UNIX)
        try:
            target.connect(self._target)
        except OSError:
            # As without the proxy: QEMU sees that nobody is there
            target.close()
            sock.close()
            return
        self._control, self._swtpm = sock, target

    def _drop_data(self):
        for sock in (self._guest, self._tpm):
            if sock:
                sock.close()
        self._guest = self._tpm = None
        self._held = self._reply = b''
        self._busy, self._pending = False, None
        if self._asked:
            self._asked.done.set()
            self._asked = None

    def _drop(self):
        """An end has gone: the other one shall see it."""
        self._drop_data()
        for sock in (self._control, self._swtpm):
            if sock:
                sock.close()
        self._control = self._swtpm = None

    def _from_qemu(self):
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, CHUNK, 4)
        except OSError:
            data, descriptors = b'', []
        if not data:
            self._drop()
            return
        code = struct.unpack('>I', data[:4])[0] if len(data) >= 4 else 0
        if code == CTRL_INIT and len(data) == 8:
            self.extends = []
            self.starts += 1
            self.last = time.monotonic()
        try:
            if code == CTRL_SET_DATAFD and descriptors:
                self._set_data(data, descriptors)
            else:
                self._swtpm.sendall(data)
        except OSError:
            self._drop()

    def _set_data(self, data, descriptors):
        self._drop_data()
        self._guest = socket.socket(fileno=descriptors[0])
        for surplus in descriptors[1:]:
            os.close(surplus)
        self._tpm, theirs = socket.socketpair()
        with theirs:
            pass_fd(self._swtpm, data, theirs.fileno())

    def _from_swtpm(self):
        self._pass(self._swtpm, self._control)

    def _pass(self, source, target):
        try:
            data = source.recv(CHUNK)
            if data:
                target.sendall(data)
        except OSError:
            data = b''
        if not data:
            self._drop()

    def _from_guest(self):
        try:
            data = self._guest.recv(CHUNK)
        except OSError:
            data = b''
        if data:
            self._held += data
        else:
            self._drop_data()

    def _from_tpm(self):
        try:
            data = self._tpm.recv(CHUNK)
        except OSError:
            data = b''
        if not data:
            self._drop_data()
            return
        self._reply += data
        size = commands.size_of(self._reply)
        if size is None or len(self._reply) < max(size, commands.HEADER):
            return
        reply, self._reply = self._reply, b''
        if self._asked:
            self._asked.answer = reply
            self._asked.done.set()
            self._asked = None
        else:
            self._answered(reply)

    def _answered(self, reply):
        """The TPM is done with a command of the guest."""
        self._busy = False
        if commands.code_of(reply):
            self.errors += 1
        elif self._pending:
            self.extends.append(self._pending)
            self.last = time.monotonic()
        self._pending = None
        try:
            self._guest.sendall(reply)
        except OSError:
            self._drop_data()

    def _next(self):
        """Hand the TPM its next command: first what the guest waits for."""
        if not self._tpm:
            self._refuse_questions()
        elif self._busy or self._asked:
            return
        elif self._complete():
            command, self._held = self._held, b''
            self._busy = True
            self.commands += 1
            self._pending = commands.extend_of(command)
            self._tell(command)
        elif not self._held and not self._questions.empty():
            self._asked = self._questions.get()
            self._tell(self._asked.command)

    def _complete(self):
        """Is there a whole command?  One with a wrong size counts as whole:
        it is the TPM that judges it."""
        size = commands.size_of(self._held)
        if size is None:
            return False
        return size < commands.HEADER or size > commands.LARGEST \
            or len(self._held) >= size

    def _tell(self, command):
        try:
            self._tpm.sendall(command)
        except OSError:
            self._drop_data()

    def _refuse_questions(self):
        while not self._questions.empty():
            self._questions.get().done.set()
