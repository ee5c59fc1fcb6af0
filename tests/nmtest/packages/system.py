# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A Debian that packages are tried on: its files, its apt, its libvirt."""

import glob
import json
import os
import signal
import subprocess
import time

from nmtools import ToolError

# Generous: they only end what hangs
DEADLINE = 900
# What any installation leaves, and what is no file of a package but made by those
# that stay
NOT_OURS = ('/usr/share/mime', '/var/lib/swtpm-localca', '/dev', '/proc',
            '/run', '/sys', '/tmp', '/mnt', '/var/cache', '/var/lib/apt',
            '/var/lib/dpkg', '/var/lib/libvirt', '/var/lib/systemd',
            '/var/log', '/var/tmp',
            os.path.expanduser('~'))


def do(*command, **options):
    """Run to its end; what it printed."""
    env = dict(os.environ, DEBIAN_FRONTEND='noninteractive', LC_ALL='C.UTF-8',
               **options.pop('env', {}))
    done = subprocess.run(command, capture_output=True, text=True, env=env,
                          check=False, timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().split('\n')
        raise ToolError(f'{" ".join(command)}: status {done.returncode}: '
                        f'{lines[-1]}', '\n'.join(lines[-20:]))
    return done.stdout


def apt(verb, *packages):
    return do('apt-get', '-q', '-y', '--allow-downgrades',
              '--no-install-recommends', verb, *packages)


def files():
    """All files of the system, without what is changed all the time."""
    found = set()
    for folder, names, plain in os.walk('/'):
        names[:] = [name for name in names
                    if os.path.join(folder, name) not in NOT_OURS]
        found.update(os.path.join(folder, name) for name in (*names, *plain))
    return {name for name in found
            if not name.endswith(('.pyc', '__pycache__'))}


def owned():
    """Files of all packages that are installed, as they are named since /lib and
    others are links."""
    found = set()
    for path in glob.glob('/var/lib/dpkg/info/*.list'):
        with open(path, encoding='utf-8') as file:
            for name in file.read().split('\n'):
                found.add(name)
                found.add('/usr' + name)
    return found


def changed(package):
    """Files of a package that are not as they were installed."""
    done = subprocess.run(['dpkg', '--verify', package], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip()


def installed(package):
    """Its version, or None."""
    done = subprocess.run(['dpkg-query', '-W', '-f', '${db:Status-Status} '
                           '${Version}', package], capture_output=True,
                          text=True, check=False)
    status, _, version = done.stdout.partition(' ')
    return version if status == 'installed' else None


def start_libvirt():
    """The distribution's libvirt, where no systemd runs."""
    os.makedirs('/run/libvirt', exist_ok=True)
    do('virtlogd', '-d')
    do('libvirtd', '-d')
    end = time.monotonic() + DEADLINE
    while subprocess.run(['virsh', '-q', 'list'], check=False,
                         capture_output=True).returncode:
        if time.monotonic() > end:
            raise ToolError('libvirtd does not answer')
        time.sleep(0.2)


def stop_libvirt():
    for path in glob.glob('/run/libvirtd.pid') + glob.glob('/run/virtlogd.pid'):
        with open(path, encoding='ascii') as file:
            os.kill(int(file.read()), signal.SIGTERM)


class Domain:
    """A domain that is given by its XML."""

    def __init__(self, name):
        self.name = name

    def virsh(self, command, *words):
        return do('virsh', '-q', command, self.name, *words)

    def qmp(self, command, **arguments):
        answer = json.loads(self.virsh('qemu-monitor-command', json.dumps(
            {'execute': command, 'arguments': {
                key.replace('_', '-'): value
                for key, value in arguments.items()}})))
        if 'error' in answer:
            raise ToolError(f"QMP {command}: {answer['error']['desc']}")
        return answer['return']

    def pid(self):
        with open(f'/run/libvirt/qemu/{self.name}.pid',
                  encoding='ascii') as file:
            return int(file.read())
