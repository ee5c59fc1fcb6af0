# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""virtlogd and libvirtd, started without systemd, and virsh."""

import os
import re
import shutil
import subprocess
import time

from nmtools import ToolError

from .. import ROOT
from . import COMMAND_DEADLINE, START_DEADLINE

# Then it is killed; its namespaces end with it in any case
STOP_SECONDS = 10
CAP_SYS_RESOURCE = 24
URI = 'qemu:///system'
# libvirt drops to this user otherwise, and then asks each QEMU again and
# again what it can do: its cache is of another user.
QEMU_CONF = ''.join(f'{name} = "root"\n' for name in (
    'user', 'group', 'swtpm_user', 'swtpm_group'))
LIBVIRTD_CONF = '''\
{tls}listen_tcp = 1
auth_tcp = "sasl"
auth_unix_rw = "none"
log_level = 3
log_outputs = "2:file:{log}"
'''


class Refused(ToolError):
    """virsh says no; the text is libvirt's own."""


class Libvirt:
    """The daemons of one run."""

    def __init__(self, folder):
        self.folder = folder
        self.log = os.path.join(folder, 'libvirtd.log')
        self.processes = []
        for name in ('/etc/libvirt', '/var/lib/libvirt', '/var/cache/libvirt',
                     '/var/log/libvirt'):
            shutil.rmtree(name, ignore_errors=True)
            os.makedirs(name)
        os.makedirs('/var/log/libvirt/qemu')
        self._write('qemu.conf', QEMU_CONF)
        self._write('libvirtd.conf', LIBVIRTD_CONF.format(
            tls='listen_tls = 0\n', log=self.log))

    @staticmethod
    def _write(name, text):
        with open('/etc/libvirt/' + name, 'w', encoding='utf-8') as file:
            file.write(text)

    def start(self):
        self._run('virtlogd')
        self.start_daemon()

    def _run(self, *command, **env):
        # Without -d: the suite is their parent and ends them
        with open(os.path.join(self.folder, command[0] + '.err'),
                  'ab') as errors:
            self.processes.append(subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors,
                stderr=errors, env=dict(os.environ, **env)))

    def start_daemon(self):
        self._run('libvirtd', '--listen', **memlock(self.folder))
        end = time.monotonic() + START_DEADLINE
        while self.virsh('list', check=False)[0]:
            if time.monotonic() > end or self._gone():
                raise ToolError('libvirtd does not answer', self.logs())
            time.sleep(0.2)

    def restart_daemon(self):
        """libvirtd alone, which reads some files at its start only."""
        end_process(self.processes.pop())
        self.start_daemon()

    def configure(self, tls):
        """Start libvirtd anew with these lines about TLS."""
        self._write('libvirtd.conf', LIBVIRTD_CONF.format(tls=tls,
                                                          log=self.log))
        self.restart_daemon()

    def _gone(self):
        return any(process.poll() is not None for process in self.processes)

    def logs(self):
        """The last lines of what the daemons wrote."""
        lines = []
        for name in ('virtlogd.err', 'libvirtd.err', 'libvirtd.log'):
            try:
                with open(os.path.join(self.folder, name), encoding='utf-8',
                          errors='replace') as file:
                    lines += file.read().split('\n')[-12:]
            except OSError:
                pass
        return '\n'.join(line for line in lines if line)

    def virsh(self, *words, uri=URI, check=True, text=None, env=None):
        """Status and output of a virsh command; raises Refused by default."""
        try:
            done = subprocess.run(
                ['virsh', '-q', '-c', uri, *words], input=text,
                capture_output=True, text=True, timeout=COMMAND_DEADLINE,
                env=dict(os.environ, LC_ALL='C', **(env or {})), check=False,
                **({} if text is not None else {'stdin': subprocess.DEVNULL}))
        except subprocess.TimeoutExpired:
            raise ToolError(f'virsh {words[0]}: no answer in '
                            f'{COMMAND_DEADLINE} seconds',
                            self.logs()) from None
        output = (done.stdout + done.stderr).strip()
        if done.returncode and check:
            raise Refused(reason(output), output)
        return done.returncode, output

    @staticmethod
    def version():
        return subprocess.run(['libvirtd', '--version'], text=True,
                              stdout=subprocess.PIPE,
                              check=False).stdout.split()[-1]

    def stop(self):
        while self.processes:
            end_process(self.processes.pop())


def end_process(process):
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def memlock(folder):
    """Variables for libvirtd where it may not raise QEMU's memory lock."""
    with open('/proc/self/status', encoding='ascii') as file:
        caps = int(re.search(r'CapEff:\s*(\w+)', file.read()).group(1), 16)
    compiler = shutil.which('cc')
    if caps >> CAP_SYS_RESOURCE & 1 or not compiler:
        return {}
    library = os.path.join(folder, 'libmemlock.so')
    source = os.path.join(ROOT, 'tests', 'libvirt', 'memlock.c')
    done = subprocess.run(
        [compiler, '-shared', '-fPIC', '-D_GNU_SOURCE', '-o', library, source,
         '-ldl'], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f'memlock.c cannot be built: {done.stderr.strip()}')
    return {'LD_PRELOAD': library}


def reason(output):
    """virsh's errors on one line, without what it always says first."""
    lines = [line.removeprefix('error: ').strip()
             for line in output.split('\n') if line.startswith('error:')]
    kept = [line for line in lines
            if not line.startswith(('Failed to ', 'Cannot get interface'))]
    text = (kept or lines or [output.split('\n')[0]])[-1]
    if text.startswith('internal error: '):
        text = text.removeprefix('internal error: ')
    # The number of the VM, and where cgroups are, say nothing
    text = re.sub(r"'/sys/fs/cgroup/[^']*/([^/']+/[^/']+)'", r"'\1'", text)
    return ' '.join(text.split())
