# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's chapter on raw device mapping."""

import fcntl
import glob
import os

from . import SuiteError, host_cannot
from .daemons import Refused
from .suite import case, check, expect

SECTION = 'Raw Device Mapping'
SG_GET_VERSION_NUM = 0x2282
RDM = '''<controller type='scsi' model='virtio-scsi' index='0'/>
<disk type='block' {kind}>
  <driver name='qemu' type='raw' cache='none' io='native'/>
  <source dev='{device}'/>
  <target dev='sdc' bus='scsi'/>
  <address type='drive' controller='0' bus='0' target='0' unit='0'/>
</disk>'''


def scsi_disk():
    """A whole SCSI disk of the host that is not in use, or None."""
    for path in sorted(glob.glob('/sys/block/sd*')):
        device = '/dev/' + os.path.basename(path)
        try:
            handle = os.open(device, os.O_RDONLY | os.O_EXCL)
        except OSError:
            continue
        try:
            fcntl.ioctl(handle, SG_GET_VERSION_NUM, bytes(4))
            return device
        except OSError:
            continue
        finally:
            os.close(handle)
    return None


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


@case('rdm-physical', SECTION, "<disk type='block' device='lun' rawio='yes'>")
def rdm_physical(env):
    device = scsi_disk()
    if not device:
        return rdm_physical_without(env)
    guest = env.domain(devices=RDM.format(kind="device='lun' rawio='yes'",
                                          device=device)).start()
    entry = guest.qmp('query-block')[0]
    expect(guest.get(entry['qdev'], 'type'), 'scsi-block', 'the device')
    return 'scsi-block on a SCSI disk'


def rdm_physical_without(env):
    """No SCSI disk: QEMU must get scsi-block, and say what is wrong."""
    device, rawio = env.block_device(), ''
    for kind in ("device='lun' rawio='yes'", "device='lun'"):
        guest = env.domain(devices=RDM.format(kind=kind, device=device))
        try:
            guest.start()
        except Refused as error:
            if 'sys_rawio' in str(error):
                rawio = 'ambient CAP_SYS_RAWIO (for rawio) and no '
                continue
            if 'scsi-block' not in error.log + str(error):
                raise
            raise host_cannot(f'it has no {rawio}free SCSI disk; with a loop '
                              f'device QEMU says: {said(error)}') from None
        raise SuiteError('a loop device passed for a SCSI disk')
    raise SuiteError('libvirt asks for CAP_SYS_RAWIO without rawio')


def said(error):
    """QEMU's words in what libvirt tells, without the time and -device."""
    lines = [line for line in (str(error) + '\n' + error.log).split('\n')
             if 'scsi-block' in line]
    words = lines[-1] if lines else str(error)
    return words.split('}: ')[-1][:160]
