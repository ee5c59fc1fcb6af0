# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Programs of the build that are run by themselves."""

import os
import socket
import subprocess

from nmtools import ToolError
from nmtools.base import build_dir
from nmtools.running import die_with_parent

from .kit import build
from .qmp import Qmp

END_DEADLINE = 120


def built(name):
    """Path of a program in the build folder, such as qga/qemu-ga; with
    NEARMETAL_OBJ another build folder is taken as it is."""
    obj = os.environ.get('NEARMETAL_OBJ')
    if not obj:
        build()
        obj = build_dir('obj')
    path = os.path.join(obj, name)
    if not os.access(path, os.X_OK):
        raise ToolError(f'{path} is missing; run scripts/build')
    return path


def output_of(*command, **options):
    """Run to the end: exit status, standard output, standard error."""
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              check=False, timeout=END_DEADLINE,
                              stdin=subprocess.DEVNULL, **options)
    except subprocess.TimeoutExpired as error:
        raise ToolError(f'{os.path.basename(command[0])} did not end within '
                        f'{END_DEADLINE} seconds') from error
    return done.returncode, done.stdout, done.stderr


class Qemu:
    """A QEMU with a QMP monitor and no guest, ended with the context."""

    def __init__(self, binary, *args, log=subprocess.DEVNULL, env=None):
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [binary, '-nodefaults', '-no-user-config', '-display', 'none',
             '-chardev', f'socket,id=qmp,fd={theirs.fileno()}',
             '-mon', 'chardev=qmp,mode=control', *args],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
            pass_fds=[theirs.fileno()], preexec_fn=die_with_parent)
        theirs.close()
        self.qmp = Qmp(ours)

    def __enter__(self):
        try:
            self.qmp.connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def cmd(self, command, **arguments):
        return self.qmp.cmd(command, **arguments)

    def hmp(self, line):
        return self.cmd('human-monitor-command', **{'command-line': line})

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        self.qmp.close()
