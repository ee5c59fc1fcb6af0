# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's chapters on NVMe and NIC passthrough, and their NUMA node."""

import re
import time

from nmtools import ToolError

from .. import libvirt_refuses
from ..suite import case, check, expect, refused

FIRMWARE_SECONDS = 120
NVME, NIC = 'NVMe Drive Passthrough', 'NIC Passthrough'
NODE = 'NUMA Exposure for Passthrough Devices'
HOSTDEV = '''<hostdev mode='subsystem' type='pci' managed='{managed}'>
  {driver}<source><address domain='0x0000' bus='0x{bus}' slot='0x{slot}'
  function='0x{function}'/></source>{more}
</hostdev>'''
CELL = '''<cpu{model}<numa>
  <cell id='0' cpus='0-1' memory='256' unit='MiB'/></numa></cpu>'''
PXB = '''<controller type='pci' index='1' model='pcie-expander-bus'>
  <target busNr='180'><node>0</node></target><alias name='ua-pxb'/></controller>
<controller type='pci' index='2' model='pcie-root-port'>
  <address type='pci' domain='0' bus='1' slot='0' function='0'/></controller>'''
ON_PXB = "<alias name='ua-sm2262'/><address type='pci' domain='0x0000' " \
    "bus='0x02' slot='0x00' function='0x0'/>"
STAND_IN = '; the device is a stand-in'


def hostdev(address, more='', driver=''):
    bus, slot = address.split(':')[1], address.split(':')[2].split('.')[0]
    return HOSTDEV.format(managed='yes', bus=bus, slot=slot, more=more,
                          function=address[-1], driver=driver)


def passed_through(env, address, arguments='', override='', **texts):
    """A started guest with the device, named ua-sm2262."""
    texts.setdefault('devices', hostdev(address, "<alias name='ua-sm2262'/>"))
    inner = env.stand_in().environment() + arguments
    return env.domain(
        extra=f'<qemu:commandline>{inner}</qemu:commandline>{override}',
        **texts).start()


def override(*properties):
    """Properties (name, type, value) that libvirt gives the device as well."""
    inner = ''.join(
        f"<qemu:property name='{name}' type='{kind}' value='{value}'/>"
        for name, kind, value in properties)
    return ("<qemu:override><qemu:device alias='ua-sm2262'><qemu:frontend>"
            f'{inner}</qemu:frontend></qemu:device></qemu:override>')


def host_of(guest):
    return guest.get(guest.device('ua-sm2262'), 'host')


@case('nvme', NVME, "<hostdev mode='subsystem' type='pci' managed='yes'> "
      'of 0000:81:00.1')
def nvme(env):
    guest = passed_through(env, '0000:81:00.1')
    expect(host_of(guest), '0000:81:00.1', 'host')
    return f'qom-get host: 0000:81:00.1{STAND_IN}'


def relocated(guest):
    seen = guest.get(guest.device('ua-sm2262'), 'x-msix-relocation')
    expect(seen, 'bar2', 'x-msix-relocation')
    # Not below its port until the firmware has numbered the buses
    end = time.monotonic() + FIRMWARE_SECONDS
    while time.monotonic() < end:
        for bus in guest.qmp('query-pci'):
            for entry in every_device(bus['devices']):
                if entry['qdev_id'] == 'ua-sm2262':
                    bars = [region['bar'] for region in entry['regions']]
                    check(2 in bars, f'no BAR 2 for MSI-X, only {bars}')
                    return f'MSI-X in BAR 2 (query-pci){STAND_IN}'
        time.sleep(0.2)
    raise ToolError(f'the device is not in query-pci after '
                    f'{FIRMWARE_SECONDS} seconds')


def every_device(devices):
    for entry in devices:
        yield entry
        bridge = entry.get('pci_bridge', {})
        yield from every_device(bridge.get('devices', []))


@case('msix-set', NVME, "<qemu:arg value='-set'/> <qemu:arg "
      "value='device.ua-sm2262.x-msix-relocation=bar2'/>")
def msix_set(env):
    return relocated(passed_through(
        env, '0000:01:00.0', "<qemu:arg value='-set'/><qemu:arg "
        "value='device.ua-sm2262.x-msix-relocation=bar2'/>"))


@case('msix-override', NVME, "<qemu:override> <qemu:property "
      "name='x-msix-relocation' type='string' value='bar2'/>")
def msix_override(env):
    return relocated(passed_through(
        env, '0000:01:00.0', override=override(
            ('x-msix-relocation', 'string', 'bar2'))))


@case('nic', NIC, "<hostdev ...><driver name='vfio'/> <source>0000:03:10.0 "
      "<rom bar='on'/>")
def nic(env):
    guest = passed_through(env, '0000:03:10.0', devices=hostdev(
        '0000:03:10.0', "<rom bar='on'/><alias name='ua-sm2262'/>",
        "<driver name='vfio'/>"))
    expect(host_of(guest), '0000:03:10.0', 'host')
    expect(guest.get(guest.device('ua-sm2262'), 'rombar'), 1, 'rombar')
    return f'qom-get host: 0000:03:10.0, rombar 1{STAND_IN}'


@case('hostdev-numa', NODE, "<hostdev ...><numa node='0'>")
def hostdev_numa(env):
    literal = env.domain(devices=hostdev('0000:03:10.0', "<numa node='0'>"))
    text = re.sub(r'(^at)? line \d+:?', '', refused(literal.define, 'numa'))
    guest = env.domain(devices=hostdev('0000:03:10.0', "<numa node='0'/>"))
    guest.define()
    if "<numa node='0'" in guest.on('dumpxml'):
        raise ToolError('libvirt took <numa> and this case does not know '
                        'what it does with it')
    raise libvirt_refuses(f"the literal text is no XML: {text.strip()}; <numa "
                          "node='0'/>, which is of openEuler's libvirt, is "
                          'not in dumpxml any more. See the next two settings')


@case('hostdev-numa-node', NODE, "<qemu:override> <qemu:property "
      "name='numa-node' type='signed' value='0'/>, below a "
      'pcie-expander-bus')
def hostdev_numa_node(env):
    guest = passed_through(
        env, '0000:03:10.0', override=override(('numa-node', 'signed', 0)),
        cpu=CELL.format(model='>'),
        devices=PXB + hostdev('0000:03:10.0', ON_PXB))
    seen = guest.get(guest.device('ua-sm2262'), 'numa-node')
    expect(str(seen), '0', 'numa-node')
    return f'qom-get numa-node: {seen}{STAND_IN}'


@case('pxb-numa', NODE, "<controller type='pci' model='pcie-expander-bus'>"
      "<target busNr='180'><node>0</node>")
def pxb_numa(env):
    guest = env.domain(cpu=CELL.format(model='>'), devices=PXB).start()
    expect(guest.get(guest.device('ua-pxb'), 'numa_node'), 0, 'numa_node')
    return 'qom-get numa_node: 0; devices below this bus are on the node'
