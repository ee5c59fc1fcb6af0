# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What is started and surely ended: a QEMU, and things around one."""

import ctypes
import signal
import subprocess

from . import ToolError

PR_SET_PDEATHSIG = 1
QUIT_SECONDS = 30
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """In a child: it goes when its parent goes, however that does."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Running:
    """Started by 'with', which gets what start() returns.  close() follows in
    any case, also of what has started in part only."""

    def start(self):
        raise NotImplementedError

    def close(self):
        raise NotImplementedError

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_unused):
        self.close()


class Emulator(Running):
    """A QEMU: start() sets its process, and its monitor."""

    process = qmp = None

    def quit(self):
        """End QEMU over QMP, without the guest."""
        try:
            self.qmp.cmd('quit')
            self.process.wait(QUIT_SECONDS)
        except (ToolError, subprocess.TimeoutExpired):
            pass
        self.close()

    def close(self):
        """End QEMU in any case, and the connection to its monitor."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.qmp:
            self.qmp.close()
            self.qmp = None
