# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Into the patched QEMU and out of it again, while the VM runs."""

import json
import os

from nmtools import ToolError

from ...distribution import fetched
from .. import host_cannot
from ..neighbour import Neighbour
from ..suite import case, check, expect


def distribution(env):
    """The distribution's own emulator, of the running release."""
    try:
        root = env.once('distribution', lambda: fetched('--running'))
    except ToolError as error:
        raise host_cannot(f"the distribution's QEMU cannot be had: {error}") \
            from None
    return os.path.join(root, 'run', 'qemu-system-x86_64')


def xml_with(env, guest, emulator, name):
    """The running domain's XML with another emulator, for virsh migrate --xml;
    where it lies."""
    path = os.path.join(env.folder, name)
    xml = guest.on('dumpxml', '--migratable').replace(
        f'<emulator>{guest.emulator}<', f'<emulator>{emulator}<')
    check(emulator in xml, 'the emulator is not in the XML')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(xml)
    return path


def version(virsh, guest):
    answer = virsh('qemu-monitor-command', guest.name,
                   '{"execute": "query-version"}')[1]
    return json.loads(answer)['return']['package']


@case('migrate-in-and-out', 'Live migration',
      'virsh migrate --xml, with another <emulator>')
def migrate_in_and_out(env):
    theirs = distribution(env)
    guest = env.domain(parts='<iothreads>1</iothreads>',
                       emulator=theirs).start()
    first = version(env.libvirt.virsh, guest)
    back = xml_with(env, guest, theirs, 'back.xml')
    there = xml_with(env, guest, env.emulator(), 'there.xml')
    neighbour = Neighbour(env.libvirt)
    env.at_end(neighbour.stop)
    env.at_end(lambda: neighbour.end(guest))
    neighbour.start().take(guest, '--xml', there)
    seen = version(neighbour.virsh, guest)
    check(seen.startswith('nearmetal'), f'it runs on {seen}')
    neighbour.virsh('qemu-monitor-command', guest.name, json.dumps({
        'execute': 'qom-set', 'arguments': {
            'path': '/objects/iothread1', 'property': 'poll-policy',
            'value': 'classic'}}))
    neighbour.give(guest, '--xml', back)
    expect(version(env.libvirt.virsh, guest), first, 'the QEMU at the end')
    expect(guest.on('domstate'), 'running', 'the VM')
    env.measured.append(f'from {first} and back')
    return "from the distribution's package to the patched QEMU and back"
