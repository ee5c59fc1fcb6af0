# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A domain of libvirt: its XML, its QEMU over QMP, its threads in /proc."""

import glob
import json
import os
import re

from nmtools import ToolError

from .daemons import Refused

NAMESPACE = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
MACHINES = {'x86_64': 'q35', 'aarch64': 'virt'}
FRAME = '''\
<domain type='qemu' {namespace}>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  {vcpu}
  {parts}
  <os><type arch='{arch}' machine='{machine}'>hvm</type>{boot}</os>
  <features>{acpi}{features}</features>
  {cpu}
  <devices>
    <emulator>{emulator}</emulator>
    {devices}
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
  {extra}
</domain>
'''


class Domain:
    """One domain, defined and started by libvirt; ended with the case."""

    def __init__(self, libvirt, emulator, arch, name, **texts):
        self.libvirt, self.arch, self.name = libvirt, arch, name
        self.emulator = emulator
        values = {'namespace': NAMESPACE, 'name': name, 'memory': 256,
                  'vcpu': '<vcpu>2</vcpu>', 'parts': '', 'arch': arch,
                  'machine': MACHINES[arch], 'boot': '', 'features': '',
                  'acpi': '<acpi/>' if arch == 'x86_64' else '', 'cpu': '',
                  'emulator': emulator, 'devices': '', 'extra': ''}
        if arch == 'aarch64':
            values['cpu'] = ("<cpu mode='custom' match='exact' check='none'>"
                             '<model>max</model></cpu>')
        values.update(texts)
        self.xml = FRAME.format(**values)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def define(self):
        path = os.path.join(self.libvirt.folder, self.name + '.xml')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(self.xml)
        self.virsh('define', path)
        return self

    def start(self):
        """Defined and started; a refusal is libvirt's or QEMU's own text."""
        self.define()
        try:
            self.libvirt.virsh('start', self.name)
        except Refused as error:
            error.log = self.qemu_log()
            raise
        return self

    def end(self):
        self.libvirt.virsh('destroy', self.name, check=False)
        self.libvirt.virsh('undefine', '--nvram', '--tpm', self.name,
                           check=False)

    def virsh(self, command, *words):
        return self.libvirt.virsh(command, *words)[1]

    def on(self, command, *words):
        """A virsh command about this domain."""
        return self.virsh(command, self.name, *words)

    def command_line(self):
        """What libvirt would run, as a text."""
        return self.virsh('domxml-to-native', 'qemu-argv', '--domain',
                          self.name)

    def qemu_log(self):
        try:
            with open(f'/var/log/libvirt/qemu/{self.name}.log',
                      encoding='utf-8', errors='replace') as file:
                lines = file.read().strip().split('\n')
        except OSError:
            return ''
        # Without the command line, which libvirt logs first
        lines = [line for line in lines if not line.startswith('-')
                 and not line.endswith('\\')]
        return '\n'.join(lines[-5:])

    # --- QEMU ---------------------------------------------------------------

    def qmp(self, command, **arguments):
        """A command's return value; names take '_' for '-'."""
        arguments = {key.replace('_', '-'): value
                     for key, value in arguments.items()}
        text = self.virsh('qemu-monitor-command', self.name, json.dumps(
            {'execute': command, 'arguments': arguments}))
        answer = json.loads(text)
        if 'error' in answer:
            raise Refused(f"QMP {command}: {answer['error']['desc']}")
        return answer['return']

    def get(self, path, name):
        return self.qmp('qom-get', path=path, property=name)

    def device(self, alias):
        """The QOM path of the device that libvirt gave this name."""
        return '/machine/peripheral/' + alias

    def iothreads(self):
        return {entry['id']: entry for entry in self.qmp('query-iothreads')}

    # --- the host -----------------------------------------------------------

    def pid(self):
        with open(f'/run/libvirt/qemu/{self.name}.pid',
                  encoding='utf-8') as file:
            return int(file.read())

    def arguments(self):
        with open(f'/proc/{self.pid()}/cmdline', 'rb') as file:
            return file.read().decode().split('\0')[:-1]

    def option(self, name, words):
        """The argument of the option NAME that holds WORDS."""
        arguments = self.arguments()
        for before, word in zip(arguments, arguments[1:]):
            if before == name and words in word:
                return word
        raise ToolError(f'{name} with {words} is not on the command line',
                        ' '.join(arguments))

    def threads(self):
        """The CPUs that each thread may run on."""
        return {int(path.split('/')[-1]): os.sched_getaffinity(
            int(path.split('/')[-1]))
            for path in glob.glob(f'/proc/{self.pid()}/task/*')}

    def status(self, name):
        with open(f'/proc/{self.pid()}/status', encoding='utf-8') as file:
            found = re.search(rf'^{name}:\s*(.*)', file.read(), re.M)
        return found.group(1) if found else None

    def numa_maps(self, words):
        """Lines of numa_maps that hold WORDS."""
        with open(f'/proc/{self.pid()}/numa_maps', encoding='utf-8') as file:
            return [line.strip() for line in file if words in line]
