# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""scripts/demo as a child of a test."""

import glob
import os
import time

from nmtools import ToolError

from .. import ROOT
from ..tool import Running, tool

DEMO = os.path.join(ROOT, 'scripts', 'demo')
DEADLINE = 300


def demo(*args):
    """Run the demo to its end: status, stdout, stderr."""
    return tool(DEMO, *args, deadline=DEADLINE)


def children(pid):
    """Process ids of the children of a process."""
    found = []
    for path in glob.glob(f'/proc/{pid}/task/*/children'):
        try:
            with open(path, encoding='ascii') as file:
                found += [int(child) for child in file.read().split()]
        except OSError:
            pass        # the thread has ended
    return found


def alive(pid):
    """Does the process run (a zombie does not)?"""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii',
                  errors='replace') as file:
            return file.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def gone(pid, deadline=60):
    """Wait for a process to end."""
    end = time.monotonic() + deadline
    while alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


class RunningDemo(Running):
    """A demo under way, to be disturbed."""

    deadline = DEADLINE

    def __init__(self, *args, **environment):
        super().__init__(DEMO, *args, start_new_session=True,
                         env={**os.environ, **environment})

    def until(self, words):
        """Wait for a text; the demo must not end before."""
        end = time.monotonic() + DEADLINE
        while words not in self.text():
            if self.process.poll() is not None:
                raise ToolError(f"the demo ended before '{words}'",
                                self.text())
            if time.monotonic() > end:
                raise ToolError(f"no '{words}' within {DEADLINE} seconds",
                                self.text())
            time.sleep(0.1)

    def qemu(self):
        """The process id of its QEMU, its only child while steps run."""
        for pid in children(self.process.pid):
            return pid
        raise ToolError('the demo runs no QEMU', self.text())
