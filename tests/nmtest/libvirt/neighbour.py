# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A second libvirtd, for migrations: a host of its own as far as libvirt can
see, with the same disks."""

import os
import subprocess
import time
import uuid

from nmtools import ToolError

from . import START_DEADLINE
from .daemons import QEMU_CONF, URI, end_process

# Its own /run, configuration and lists of domains; images are shared
HOST = '''\
set -e
for dir in /run /etc/libvirt /var/lib/libvirt/qemu /var/cache/libvirt \
        /var/log/libvirt; do
    mkdir -p "$dir"
    mount -t tmpfs tmpfs "$dir"
done
mkdir -p /var/log/libvirt/qemu
cp "$1"/libvirtd.conf "$1"/qemu.conf /etc/libvirt/
exec libvirtd
'''
LIBVIRTD_CONF = '''\
host_uuid = "{uuid}"
unix_sock_dir = "{folder}"
auth_unix_rw = "none"
log_level = 3
log_outputs = "2:file:{folder}/libvirtd.log"
'''


class Neighbour:
    """Where domains of LIBVIRT may go."""

    def __init__(self, libvirt):
        self._libvirt = libvirt
        self.folder = os.path.join(libvirt.folder, 'neighbour')
        os.makedirs(self.folder, exist_ok=True)
        self.uri = f'qemu+unix:///system?socket={self.folder}/libvirt-sock'
        self._write('libvirtd.conf', LIBVIRTD_CONF.format(
            uuid=uuid.uuid4(), folder=self.folder))
        # There is no second virtlogd
        self._write('qemu.conf', QEMU_CONF + 'stdio_handler = "file"\n')
        self._process = None

    def _write(self, name, text):
        with open(os.path.join(self.folder, name), 'w',
                  encoding='utf-8') as file:
            file.write(text)

    def start(self):
        with open(os.path.join(self.folder, 'libvirtd.err'), 'ab') as errors:
            self._process = subprocess.Popen(
                ['unshare', '--mount', '--propagation', 'private', 'sh', '-c',
                 HOST, 'sh', self.folder], stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors)
        end = time.monotonic() + START_DEADLINE
        while self._libvirt.virsh('list', uri=self.uri, check=False)[0]:
            if time.monotonic() > end or self._process.poll() is not None:
                raise ToolError('a second libvirtd does not answer',
                                self._errors())
            time.sleep(0.2)
        return self

    def _errors(self):
        with open(os.path.join(self.folder, 'libvirtd.err'),
                  encoding='utf-8', errors='replace') as file:
            return file.read()

    def _way(self, domain):
        way = f'unix://{self.folder}/{domain.name}.sock'
        return '--migrateuri', way, '--disks-uri', way + '.disks'

    def take(self, domain, *words):
        """Migrate DOMAIN here, live; it is one of this libvirt then."""
        domain.on('migrate', '--live', '--desturi', self.uri,
                  *self._way(domain), *words)
        return self

    def give(self, domain, *words):
        """And back to where it was."""
        self.virsh('migrate', domain.name, '--live', '--desturi', URI,
                   *self._way(domain), *words)

    def virsh(self, *words, **options):
        return self._libvirt.virsh(*words, uri=self.uri, **options)

    def end(self, domain):
        self.virsh('destroy', domain.name, check=False)

    def stop(self):
        if self._process:
            end_process(self._process)
            self._process = None
