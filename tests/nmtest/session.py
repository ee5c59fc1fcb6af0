# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Around a guest: its folder, its accelerator, signals and errors."""

import contextlib
import fcntl
import glob
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from nmtools import ToolError
from nmtools.running import die_with_parent

from . import ROOT
from .control import Console
from .kit import make_disk
from .machine import MACHINES, kernel_options, machine_options

PROBE_SECONDS = 8


def end_on_signals():
    """Turn the usual signals into an exit that cleans up."""
    def stop(number, _frame):
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def _lock(folder):
    """Lock a folder against its removal; None if another process has it."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle
    except OSError:
        os.close(handle)
        return None


def _remove_stale(parent):
    """Remove what runs that were killed have left."""
    for folder in glob.glob(os.path.join(glob.escape(parent), 'run.*')):
        handle = _lock(folder)
        if handle is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)


def _new_folder(parent):
    while True:
        folder = tempfile.mkdtemp(prefix='run.', dir=parent)
        handle = _lock(folder)
        if handle is not None and os.path.isdir(folder):
            return folder, handle
        if handle is not None:      # taken for stale before it was locked
            os.close(handle)


@contextlib.contextmanager
def run_folder():
    """A folder with a fresh disk image; removed in the end."""
    parent = os.path.join(ROOT, 'build', 'guest')
    os.makedirs(parent, exist_ok=True)
    _remove_stale(parent)
    folder, handle = _new_folder(parent)
    try:
        make_disk(os.path.join(folder, 'disk.img'))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def kvm_runs(qemu, arch, folder):
    """Does a guest really run on KVM here?  Boots the kernel to find out."""
    if platform.machine() != arch:
        return False, f'this machine is no {arch}'
    try:
        os.close(os.open('/dev/kvm', os.O_RDWR))
    except OSError as error:
        return False, f'/dev/kvm: {error.strerror}'
    console = Console(os.path.join(folder, 'probe.console'))
    command = [qemu, '-nodefaults', '-no-user-config', '-display', 'none',
               '-no-reboot', '-m', '256', *machine_options(arch, 'kvm'),
               *kernel_options(arch, MACHINES[arch]['early']),
               '-serial', 'file:probe.console']
    # The words come from the early console: 'quiet' must not hide them.
    command = [word.replace('quiet loglevel=4', 'loglevel=7')
               for word in command]
    return _probe(command, folder, console)


def _probe(command, folder, console):
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL,
                          preexec_fn=die_with_parent) as process:
        try:
            end = time.monotonic() + PROBE_SECONDS
            while time.monotonic() < end:
                if console.has('Linux version'):
                    return True, 'a guest runs on KVM'
                if process.poll() is not None:
                    return False, 'QEMU cannot use KVM'
                time.sleep(0.1)
            return False, f'no guest output on KVM in {PROBE_SECONDS} seconds'
        finally:
            process.kill()


def choose_accel(wanted, qemu, arch, folder):
    """tcg or kvm, and why."""
    if wanted == 'tcg':
        return 'tcg', 'as asked'
    works, why = kvm_runs(qemu, arch, folder)
    if works:
        return 'kvm', why
    if wanted == 'kvm':
        raise ToolError(f'KVM does not run guests here ({why}); '
                        'use --accel tcg')
    return 'tcg', why


def complain(program, error):
    """An error on one line, then the console's last lines if there are."""
    print(f'{program}: error: {error}', file=sys.stderr)
    log = getattr(error, 'log', '')
    if log:
        print(f"{program}: the guest's console ends with:", file=sys.stderr)
        for line in log.split('\n'):
            print(f'  | {line}', file=sys.stderr)
