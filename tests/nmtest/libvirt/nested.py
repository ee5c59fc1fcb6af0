# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""libvirt and the QEMU under test inside a guest that has SCSI disks and two
NUMA nodes.

The guest is Linux with the module scsi_debug, whose disks answer SCSI commands
as real ones do.  libvirt in it is that of the suite."""

import glob
import json
import os
import platform
import re
import subprocess
import time

from nmtools import ToolError

from .. import ROOT
from ..initramfs import Cpio, add_firmware
from ..kernel import Kernel, cached_package
from ..kit import kit_file
from . import host_cannot
from .domain import Domain
from .space import ACCOUNTS

ARCH = 'x86_64'
DEADLINE = 900
QEMU = f'/usr/bin/qemu-system-{ARCH}'
INIT = os.path.join(ROOT, 'tests', 'libvirt', 'init-nested')
PROGRAMS = ('/usr/sbin/libvirtd', '/usr/sbin/virtlogd', '/usr/bin/virsh')
DRIVERS = '/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so'
NODES = '''<cpu mode='maximum' check='none'><numa>
<cell id='0' cpus='0' memory='1536' unit='MiB'/>
<cell id='1' cpus='1' memory='512' unit='MiB'/></numa></cpu>'''
DISK = '''<disk type='block' device='disk'><driver name='qemu' type='raw'/>
<source dev='/dev/sdc'/><target dev='vda' bus='virtio'/></disk>'''
# QEMU runs as libvirt's default user
TEXTS = {'etc/passwd': 'root:x:0:0::/:/bin/sh\n' + ACCOUNTS['passwd'],
         'etc/group': 'root:x:0:\n' + ACCOUNTS['group'],
         'etc/libvirt/libvirtd.conf': 'auth_unix_rw = "none"\n'}
# The firmware's messages, and after them what the boot sector prints there
DEBUG = '''<qemu:commandline>
<qemu:arg value='-chardev'/>
<qemu:arg value='file,id=debug,path=/run/firmware/{name}'/>
<qemu:arg value='-device'/>
<qemu:arg value='isa-debugcon,iobase=0x402,chardev=debug'/>
</qemu:commandline>'''
# mov si, text; next: lodsb; test al, al; jz end; out 0x402, al; jmp next;
# end: hlt; jmp end
CODE = bytes.fromhex('fc 31c0 8ed8 be167c ba0204 ac 84c0 7403 ee ebf8 f4 ebfd')
# What QMP of each domain is asked, in this order
COMMANDS = (
    {'execute': 'query-block'},
    {'execute': 'query-memdev'},
    {'execute': 'qom-get', 'arguments': {
        'path': '/machine/peripheral/scsi0-0-0-0', 'property': 'type'}})
DOMAINS = {}
BOOTED = 'booted from the disk'
BOOT = CODE + f'\n{BOOTED}\n\0'.encode()


def _libraries(programs):
    """Paths as the loader looks for them."""
    found = set()
    for program in programs:
        listed = subprocess.run(['ldd', program], text=True, check=False,
                                stdout=subprocess.PIPE).stdout
        found |= set(re.findall(r'(/\S+) \(0x', listed))
    return found


def _add_modules(archive, folder):
    kernel = Kernel(cached_package(ARCH), folder)
    modules = kernel.modules(('sd_mod', 'scsi_debug'))
    if 'scsi_debug' not in modules:
        raise host_cannot(f'kernel {kernel.release} has no scsi_debug')
    archive.add_modules(modules)


def _make_image(env, path, files):
    drivers = glob.glob(DRIVERS)
    with Cpio(path) as archive:
        archive.start_from(kit_file(ARCH, 'initramfs.cpio.gz'))
        archive.add_file('init', INIT, 0o755)
        _add_modules(archive, os.path.join(env.folder, 'nested-kernel'))
        for each in (*PROGRAMS, *drivers):
            archive.add_file(each[1:], each, 0o755)
        archive.add_file(QEMU[1:], env.emulator(ARCH), 0o755)
        for each in _libraries((*PROGRAMS, *drivers, env.emulator(ARCH))):
            archive.add_file(each[1:], each, 0o755)
        for each in glob.glob('/usr/share/libvirt/cpu_map/*'):
            archive.add_file(each[1:], each)
        add_firmware(archive, env.emulator(ARCH), 'usr/share/qemu')
        for name, text in files.items():
            archive.add(name, text if isinstance(text, bytes)
                        else text.encode())


class Nested:
    """What became of each domain: its lines, by key."""

    def __init__(self, said):
        self._said = said

    def lines(self, name, key):
        """Of a domain that was started; libvirt's refusal otherwise."""
        refused = [text for domain, what, text in self._said
                   if (domain, what) == (name, 'refused')]
        if refused:
            raise ToolError(refused[-1], '\n'.join(refused))
        return [text for domain, what, text in self._said
                if (domain, what) == (name, key)]

    def answers(self, name):
        """Of QMP, to the commands in their order."""
        return [json.loads(line).get('return')
                for line in self.lines(name, 'qmp')]


def _wait(guest, log):
    end = time.monotonic() + DEADLINE
    while True:
        # Before the console, whose last lines come before the end
        running = guest.on('domstate') == 'running'
        try:
            with open(log, encoding='utf-8', errors='replace') as file:
                console = file.read()
        except OSError:
            console = ''
        wrong = re.search(r'nearmetal-guest: error (.*)', console)
        if wrong:
            raise ToolError(wrong.group(1).strip(), console[-600:])
        if 'nearmetal-guest: done' in console:
            return Nested(re.findall(
                r'nearmetal-guest: (\S+) (\S+) ([^\r\n]*)', console))
        if time.monotonic() > end or not running:
            raise ToolError('the nested guest did not come to an end',
                            console[-600:])
        time.sleep(1)


def add_domain(name, **texts):
    """A domain for the guest to start; it boots from /dev/sdc."""
    DOMAINS[name] = {'devices': DISK, 'memory': 64, 'vcpu': '<vcpu>1</vcpu>',
                     'extra': DEBUG.format(name=name), **texts}


def results(env):
    """What became of all domains, which are run once."""
    return env.once('nested', lambda: _run(env))


def _files(env):
    files = {**TEXTS, 'nested/boot': BOOT, 'nested/commands': ''.join(
        json.dumps(line) + '\n' for line in COMMANDS)}
    for name, texts in DOMAINS.items():
        files[f'nested/{name}.xml'] = Domain(env.libvirt, QEMU, ARCH, name,
                                             **texts).xml
    return files


def _run(env):
    if platform.machine() != ARCH:
        raise host_cannot(f"its libvirt is not of the nested guest's {ARCH}")
    image = '/var/lib/libvirt/nested.cpio'
    if not os.path.exists(kit_file(ARCH, 'vmlinuz')):
        raise host_cannot('it has no kernel for the nested guest; run '
                          'scripts/guest-kit')
    _make_image(env, image, _files(env))
    log = '/var/log/libvirt/qemu/nested-console'
    guest = env.domain(
        memory=2048, cpu=NODES,
        boot=f"<kernel>{kit_file(ARCH, 'vmlinuz')}</kernel>"
        f'<initrd>{image}</initrd><cmdline>console=ttyS0 quiet '
        'mitigations=off panic=-1 rdinit=/init</cmdline>',
        devices=f"<serial type='file'><source path='{log}'/></serial>")
    return _wait(guest.start(), log)
