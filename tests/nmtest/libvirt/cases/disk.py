# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's chapter on raw device mapping."""

import os
import re

from nmtools import ToolError

from ..daemons import Refused
from ..nested import BOOTED, add_domain, results
from ..suite import case, check, expect

SECTION = 'Raw Device Mapping'
IN_GUEST = '; libvirt and QEMU in a guest with scsi_debug'
RDM = '''<controller type='scsi' model='virtio-scsi' index='0'/>
<disk type='block' {kind}>
  <driver name='qemu' type='raw' cache='none' io='native'/>
  <source dev='{device}'/>
  <target dev='sdc' bus='scsi'/>
  <address type='drive' controller='0' bus='0' target='0' unit='0'/>
</disk>'''
LUN = "device='lun' rawio='yes'"
NESTED = {'virtual': ("device='disk'", '/dev/sdc'),
          'physical': (LUN, '/dev/sdc'), 'partition': (LUN, '/dev/sdc1')}
for _name, (_kind, _device) in NESTED.items():
    add_domain(_name, devices=RDM.format(kind=_kind, device=_device))


@case('rdm-virtual', SECTION, "<disk type='block' device='disk'>")
def rdm_virtual(env):
    device = env.block_device()
    guest = env.domain(devices=RDM.format(kind="device='disk'",
                                          device=device)).start()
    entry = guest.qmp('query-block')[0]
    kind = guest.get(entry['qdev'], 'type')
    expect(kind, 'scsi-hd', 'the device')
    node = entry['inserted']
    check(node['cache']['direct'], "cache='none' opened without O_DIRECT")
    expect(node['image']['filename'], device, 'the block device')
    return f'scsi-hd on a block device ({os.path.basename(device)[:4]}), ' \
        'direct I/O'


def seen(env, name):
    """What QEMU has, and what the guest's firmware was told by the disk."""
    nested = results(env)
    firmware = nested.lines(name, 'firmware')
    found = re.search(r"vendor='(.*?)' product='(.*?)'", '\n'.join(firmware))
    if not found:
        raise ToolError('the firmware has seen no SCSI disk',
                        '\n'.join(firmware[-8:]))
    check(BOOTED in firmware, 'the firmware could not read from the disk')
    blocks, _, kind = nested.answers(name)
    expect(blocks[0]['inserted']['image']['filename'], NESTED[name][1],
           'the block device')
    return kind, ' '.join(found.groups()), '\n'.join(nested.lines(name, 'log'))


@case('rdm-virtual-scsi', SECTION, "the same of a SCSI disk, /dev/sdc")
def rdm_virtual_scsi(env):
    kind, inquiry, _ = seen(env, 'virtual')
    expect((kind, inquiry), ('scsi-hd', 'QEMU QEMU HARDDISK'),
           'device and INQUIRY')
    return f"{kind}; the guest's INQUIRY: {inquiry}{IN_GUEST}"


@case('rdm-physical', SECTION, "<disk type='block' device='lun' rawio='yes'> "
      'of a SCSI disk, /dev/sdc')
def rdm_physical(env):
    kind, inquiry, log = seen(env, 'physical')
    expect((kind, inquiry), ('scsi-block', 'Linux scsi_debug'),
           'device and INQUIRY')
    check('warning' not in log, f'QEMU warns: {log}')
    return f"{kind}; the guest's INQUIRY: {inquiry}; it boots from the " \
        f'disk{IN_GUEST}'


@case('rdm-physical-partition', SECTION, "<disk type='block' device='lun' "
      "rawio='yes'> of a partition, /dev/sdc1")
def rdm_physical_partition(env):
    kind, inquiry, log = seen(env, 'partition')
    expect(kind, 'scsi-block', 'the device')
    told = re.search(r"warning: (.*'/dev/sdc1' is a partition.*)", log)
    check(told, f'QEMU does not warn: {log}')
    return f"the guest's INQUIRY: {inquiry}, which is the whole disk; QEMU " \
        f'warns: {told.group(1)}{IN_GUEST}'


@case('rdm-physical-other', SECTION, "<disk type='block' device='lun'> of a "
      'block device that is no SCSI disk')
def rdm_physical_other(env):
    guest = env.domain(devices=RDM.format(kind="device='lun'",
                                          device=env.block_device()))
    try:
        guest.start()
    except Refused as error:
        if 'scsi-block' not in error.log + str(error):
            raise
        return f'refused, as it must be (a loop device): {said(error)}'
    raise ToolError('a loop device passed for a SCSI disk')


def said(error):
    """QEMU's words in what libvirt tells, without the time and -device."""
    lines = [line for line in (str(error) + '\n' + error.log).split('\n')
             if 'scsi-block' in line]
    words = lines[-1] if lines else str(error)
    return words.split('}: ')[-1][:160]
