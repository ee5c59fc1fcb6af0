# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A QEMU under the driver, for one config and one kind of workload."""

import os
import select
import socket
import subprocess
import tempfile
import time

from .. import ToolError
from ..qmp import Monitor
from ..running import die_with_parent
from ..stop import Stop
from . import ROOT

PROGRAMS = ROOT / 'build/dev/iothread-tuning/bench'
DEADLINE = 30           # seconds for an answer; the driver gives up in 10
DISK_BYTES = 64 << 20
SLOT = 4
BYSTANDER_SLOT = 8


class Machine:
    """Started and paused; measures slices."""

    def __init__(self, config, workload, cpus, folder, nice=0):
        self._config, self._workload = config, workload
        self._cpus, self._nice = cpus, nice
        self._helpers, self._monitor, self._process = [], None, None
        self._name = f'nearmetal-bench-{os.getpid()}-{id(self):x}'
        self._stderr = tempfile.TemporaryFile(dir=folder)
        self._disk = os.path.join(folder, self._name + '.img')
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    # --- command lines

    def _blockdev(self, i):
        return ['--blockdev', f'driver=file,node-name=disk{i},'
                f'filename={self._disk},cache.direct=on,aio=native,'
                'locking=off']

    def _pci(self):
        cmd = [self._config.binary('qemu-system-x86_64'),
               '-accel', 'qtest', '-qtest', 'stdio', '-qtest-log', 'none',
               '-machine', 'pc,memory-backend=ram', '-m', '64',
               '-nodefaults', '-display', 'none', '-object',
               'memory-backend-file,id=ram,size=64M,share=on,mem-path=@RAM@',
               '-object', self._config.iothread('io0')]
        for i in range(self._workload.disks):
            cmd += self._blockdev(i)
            cmd += ['-device', f'virtio-blk-pci,drive=disk{i},iothread=io0,'
                    f'addr={SLOT + i},disable-legacy=on']
        return cmd

    def _timer(self, monitor):
        """A copy between null devices, one read of 100 us after another.

        The source is a device's, which keeps it in the IOThread.
        """
        null = f'null-co,size={1 << 40}'
        return self._pci() + [
            '-blockdev', f'{null},node-name=from,latency-ns=100000',
            '-blockdev', f'{null},node-name=to',
            '-device', 'virtio-blk-pci,drive=from,iothread=io0,'
            f'addr={BYSTANDER_SLOT},disable-legacy=on',
            '-chardev', f'socket,id=qmp,fd={monitor}',
            '-mon', 'chardev=qmp,mode=control']

    def _start_copy(self):
        try:
            Monitor('the monitor', Stop(), self._monitor).cmd(
                'blockdev-backup', job_id='copy', device='from', target='to',
                sync='full', x_perf={'max-workers': 1, 'max-chunk': 65536})
        except ToolError as error:
            self._fail(str(error))

    def _nbd(self):
        """Beside a disk whose server does not answer.

        QEMU must not read the disk by itself, so it is told the geometry.
        """
        server = [self._config.binary('qemu-storage-daemon'), '--blockdev',
                  f'null-co,node-name=n,size={1 << 30},latency-ns={10**12}',
                  '--nbd-server', f'addr.type=unix,addr.path={self._name},'
                  'addr.abstract=on',
                  '--export', 'nbd,id=e,node-name=n,name=n,writable=on']
        self._helpers.append(subprocess.Popen(
            server, stdin=subprocess.DEVNULL, stdout=self._stderr,
            stderr=self._stderr, preexec_fn=die_with_parent))
        self._wait_for_socket()
        return self._pci() + [
            '-blockdev', 'nbd,node-name=stuck,export=n,server.type=unix,'
            f'server.path={self._name},server.abstract=on',
            '-device', f'virtio-blk-pci,drive=stuck,iothread=io0,'
            f'addr={BYSTANDER_SLOT},disable-legacy=on,cyls=2,heads=16,secs=63']

    def _wait_for_socket(self):
        end = time.monotonic() + 10
        while True:
            with socket.socket(socket.AF_UNIX) as sock:
                try:
                    sock.connect('\0' + self._name)
                    return
                except OSError:
                    if time.monotonic() > end:
                        self._fail('the NBD server does not listen')
            time.sleep(0.01)

    def _vhost(self):
        return [self._config.binary('qemu-storage-daemon'),
                '--object', self._config.iothread('io0'),
                *self._blockdev(0),
                '--export', 'vhost-user-blk,id=e,node-name=disk0,writable=on,'
                f'iothread=io0,addr.type=unix,addr.path={self._name},'
                'addr.abstract=on']

    # --- the processes

    def _start(self):
        with open(self._disk, 'wb') as f:
            f.truncate(DISK_BYTES)
        ours, theirs = socket.socketpair()
        profile = self._workload.profile
        command = {'pci': self._pci, 'nbd': self._nbd, 'vhost': self._vhost,
                   'timer': lambda: self._timer(theirs.fileno())}[profile]()
        driver = [str(PROGRAMS / 'bench-driver'),
                  '--shim', str(PROGRAMS / 'libbench-shim.so'),
                  '--disks', str(self._workload.disks), '--slot', str(SLOT),
                  '--iothread-cpu', str(self._cpus[0]),
                  '--cpu', str(self._cpus[1]), '--nice', str(self._nice)]
        if profile == 'vhost':
            driver += ['--vhost-user', self._name]
        if profile in ('nbd', 'timer'):
            driver += ['--bystander', str(BYSTANDER_SLOT)]
        with theirs:
            self._process = subprocess.Popen(
                driver + ['--'] + command, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=self._stderr, text=True,
                pass_fds=[theirs.fileno()])
        self._monitor = ours
        self._expect('ready')
        os.unlink(self._disk)
        if profile == 'timer':
            self._start_copy()
        self._ask('pause')

    def _fail(self, text):
        self._stderr.seek(0)
        lines = [line.strip() for line in
                 self._stderr.read().decode(errors='replace').splitlines()
                 if line.strip()]
        for line in lines:
            # What QEMU says is the cause of what the driver says
            if 'bench-driver' not in line and 'warning:' not in line:
                text = line
                break
        else:
            text = lines[-1] if lines else text
        raise ToolError(f'{self._config.label}, {self._workload.name}: '
                        f'{text}')

    def _expect(self, word):
        for _ in range(2):      # once more, in case this process was stopped
            ready, _, _ = select.select([self._process.stdout], [], [],
                                        DEADLINE)
            if ready:
                break
        line = self._process.stdout.readline() if ready else ''
        words = line.split()
        if not words or words[0] != word:
            self._fail('the driver gave no answer' if not ready else
                       'the driver ended')
        return dict(w.split('=', 1) for w in words[1:])

    def _ask(self, line, word='ok'):
        try:
            self._process.stdin.write(line + '\n')
            self._process.stdin.flush()
        except OSError:
            self._fail('the driver ended')
        return self._expect(word)

    def slice(self, warm, seconds, seed, record=None):
        """Figures of @seconds of the workload; paused before and after."""
        run = dict(self._workload.run)
        run.update({'warm-ns': round(warm * 1e9),
                    'run-ns': round(seconds * 1e9), 'seed': seed})
        if record:
            run['record'] = record
        self._ask('resume')
        line = 'run ' + ' '.join(f'{k}={v}' for k, v in run.items())
        result = self._ask(line, 'result')
        self._ask('pause')
        if result['errors'] != '0':
            self._fail(f"{result['errors']} requests failed")
        return {key: float(value) for key, value in result.items()}

    def close(self):
        for process in [self._process, *self._helpers]:
            if process:
                process.kill()          # QEMU dies with the driver
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe:
                        pipe.close()
        if self._monitor:
            self._monitor.close()
        self._stderr.close()
        if os.path.exists(self._disk):
            os.unlink(self._disk)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
