# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What passthrough needs: IOMMU, interrupt remapping, groups, NUMA nodes."""

from .cpus import format_list
from .result import count, failed, passed, skipped, warn, write
from .sysroot import Unreadable, shown, whole

GROUPS = '/sys/kernel/iommu_groups'
DEVICES = '/sys/bus/pci/devices/'
UNSAFE = ('/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts',
          '/sys/module/iommufd/parameters/allow_unsafe_interrupts')
NOIOMMU = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode'
KINDS = {'0x0108': 'NVMe', '0x0200': 'NIC', '0x0207': 'InfiniBand',
         '0x0280': 'NIC'}
# To PCI and to CardBus; VFIO does not mind them, whatever drives them
BRIDGES = ('0x0604', '0x0607')


def groups(host):
    """Those of IOMMUs; VFIO makes groups of its own for devices without one,
    and for such as have no DMA."""
    found = []
    for name in host.root.names(GROUPS):
        try:
            if host.root.text(f'{GROUPS}/{name}/name') == 'vfio-noiommu':
                continue
        except Unreadable:
            pass
        found.append(name)
    return found


def enable_iommu(host):
    if host.arch == 'aarch64':
        return 'switch the SMMU on in the firmware'
    return ('switch VT-d or AMD-Vi on in the firmware; on Intel add '
            "intel_iommu=on to the kernel's command line")


def noiommu(host):
    """Is VFIO told to do without?"""
    try:
        return host.root.word(NOIOMMU, ('Y', 'N')) == 'Y'
    except Unreadable as reason:
        if not reason.missing:
            raise
    return False


def iommu(host):
    found = groups(host)
    units = host.root.names('/sys/class/iommu')
    if not found and noiommu(host):
        return failed('none, and VFIO is told to do without: devices can '
                      'write to all memory', enable_iommu(host),
                      write('N', NOIOMMU))
    if found:
        value = (f'{count(len(found), "group")}, {count(len(units), "unit")}'
                 + (f' ({units[0]}, ...)' if units else ''))
        data = {'groups': len(found), 'units': units}
        if noiommu(host):
            return warn(value + ', but enable_unsafe_noiommu_mode=Y',
                        'not needed: unset it', write('N', NOIOMMU),
                        data=data)
        return passed(value, data=data)
    if not host.root.present('/sys/kernel'):
        return skipped('/sys/kernel: does not exist')
    if host.guest:
        return skipped('inside a VM without one')
    return warn('none: no device can be passed through', enable_iommu(host))


# --- interrupt remapping ----------------------------------------------------

def chips(host):
    """Names of the interrupt controllers in use.  Everybody may read them:
    with remapping they are IR-IO-APIC, IR-PCI-MSI...; on Arm those of an ITS
    are ITS-MSI or ITS-PCI-MSI..."""
    found = set()
    for irq in host.root.names('/sys/kernel/irq'):
        try:
            found.add(host.root.text(f'/sys/kernel/irq/{irq}/chip_name'))
        except Unreadable:
            continue
    if not found - {''}:
        # A line for each interrupt, and a column for each CPU
        text = host.root.text('/proc/interrupts', 64 << 20)
        for line in text.split('\n'):
            found.update(word for word in line.split()
                         if 'MSI' in word or 'APIC' in word or 'GIC' in word)
    return found


def unsafe(host):
    """Modules of VFIO that are told to do without remapping."""
    found = []
    for path in UNSAFE:
        try:
            if host.root.word(path, ('Y', 'N')) == 'Y':
                found.append(path)
        except Unreadable as reason:
            if not reason.missing:
                raise
    return found


def irq_remapping(host):
    """Without it a guest's device can send any interrupt to the host."""
    if not groups(host):
        return skipped('no IOMMU')
    # The remapping of interrupts is the IOMMU's on x86, on Arm the ITS'
    prefix = 'ITS-' if host.arch == 'aarch64' else 'IR-'
    names = sorted(name for name in chips(host) if name.startswith(prefix))
    paths = unsafe(host)
    if names and paths:
        return warn(f'on ({names[0]}), but allow_unsafe_interrupts=Y',
                    'not needed: unset it',
                    *(write('N', path) for path in paths))
    if names:
        return passed(f'on ({names[0]})')
    if paths:
        return failed('off, and allow_unsafe_interrupts=Y: a guest can send '
                      'interrupts to the host', enable_remapping(host),
                      *(write('N', path) for path in paths))
    return warn('off: no interrupt is remapped', enable_remapping(host))


def enable_remapping(host):
    if host.arch == 'aarch64':
        return 'needs a GICv3 with an ITS'
    return ("remove intremap=off from the kernel's command line; switch "
            'interrupt remapping or x2APIC on in the firmware')


# --- devices ----------------------------------------------------------------

def device_class(host, address):
    try:
        return host.root.text(f'{DEVICES}{address}/class')
    except Unreadable:
        return ''


def candidates(host):
    """(address, kind) of NVMe drives and NICs."""
    found = []
    for address in host.root.names(DEVICES):
        kind = KINDS.get(device_class(host, address)[:6])
        if kind:
            found.append((address, kind))
    return found


def driver(host, address):
    return host.root.link(f'{DEVICES}{address}/driver')


def for_guests(name):
    """None, vfio-pci, or one of the vendors': mlx5_vfio_pci, hisi-acc-..."""
    return name is None or name == 'pci-stub' or 'vfio' in name


def in_the_way(host, group, address):
    """Other devices of the group that a driver of the host has: VFIO does not
    let the group be used then."""
    return [other for other in host.root.names(f'{GROUPS}/{group}/devices')
            if other != address
            and not device_class(host, other).startswith(BRIDGES)
            and not for_guests(driver(host, other))]


def group_of(host, address, kind):
    group = host.root.link(f'{DEVICES}{address}/iommu_group')
    value = f'{kind}, {driver(host, address) or "no driver"}, '
    if group is None:
        return warn(value + 'no group', 'it cannot be passed through',
                    subject=address)
    others = in_the_way(host, group, address)
    data = {'group': whole(group), 'others': others}
    value += f'group {group}'
    if others:
        more = '' if len(others) == 1 else f' and {len(others) - 1} more'
        return warn(f'{value} with {others[0]}{more}',
                    'pass them through together, or use a slot behind a port '
                    'with ACS', subject=address, data=data)
    return passed(value, address, data)


def device_group(host):
    if not groups(host):
        return skipped('no IOMMU')
    found = candidates(host)
    if not found:
        return skipped('no NVMe drive and no NIC')
    return [group_of(host, address, kind) for address, kind in found]


def users(host):
    """The VM that has a device, by its address."""
    return {address: vm for vm in host.vms for address in vm.devices()}


def node_of(host, address, kind, vm):
    """A device's node, which may be -1: not told by the firmware."""
    path = f'{DEVICES}{address}/numa_node'
    node = host.root.number(path)
    if node < -1 or node > 1023:
        raise Unreadable(path, f'{shown(str(node))} is no node')
    value = f'{kind}, node {node if node >= 0 else "unknown"}'
    if node < 0:
        return warn(value, 'the firmware does not tell; look for a NUMA or '
                    'SNC setting, or update it', subject=address)
    if not vm:
        return passed(value, address, {'node': node})
    # Without debug-threads=on nothing tells which thread is a vCPU
    cpus = set().union(*(thread.cpus for thread in
                         vm.vcpus() or vm.threads))
    data = {'node': node, 'vm': vm.name, 'vcpus-on': format_list(cpus)}
    near = host.node_cpus(node)
    if cpus and not cpus & near:
        return warn(f'{value}; {vm.name} runs on CPUs {format_list(cpus)}',
                    (f'pin its vCPUs to CPUs {format_list(near)}, or use '
                     if near else 'no CPU is near: use ')
                    + 'a device near them', subject=address, data=data)
    return passed(f'{value}, of {vm.name}', address, data)


def device_node(host):
    if len(host.nodes) < 2:
        return skipped('one NUMA node')
    found = candidates(host)
    if not found:
        return skipped('no NVMe drive and no NIC')
    used = users(host)
    results = []
    for address, kind in found:
        try:
            results.append(node_of(host, address, kind, used.get(address)))
        except Unreadable as reason:
            results.append(skipped(str(reason), address))
    return results


CHECKS = (
    ('iommu', 'devices can be passed through', iommu),
    ('irq-remapping', 'interrupts of passed devices are confined',
     irq_remapping),
    ('device-group', 'NVMe and NICs: alone in their IOMMU group?',
     device_group),
    ('device-node', 'NVMe and NICs: on the node of the VM?', device_node),
)
