# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""resctrl, the kernel's interface to RDT of Intel, QoS of AMD, MPAM of Arm."""

from .result import passed, skipped, warn
from .sysroot import Unreadable, whole

DEFAULT = '/sys/fs/resctrl'
# Not groups, though folders beside them
OTHERS = ('info', 'mon_data', 'mon_groups')
MEGA = 1000 * 1000


def mounted(host):
    """(folder, options) of the mount, None if there is none."""
    for line in host.root.text('/proc/mounts', 16 << 20).split('\n'):
        words = line.split()
        if len(words) > 3 and words[2] == 'resctrl':
            return words[1], words[3].split(',')
    return None


def supported(host):
    """The kernel registers the file system only where the hardware can."""
    text = host.root.text('/proc/filesystems')
    return 'resctrl' in text.split()


def unsupported(host):
    if host.arch == 'aarch64':
        return skipped('no MPAM', remedy="if the CPU has it: mpam=acpi on the "
                       "kernel's command line (openEuler)")
    return skipped('the CPU has no RDT or QoS, or the kernel no resctrl')


def features(host, folder):
    """What can be controlled and what be monitored."""
    controls, monitors = [], []
    for name in host.root.names(folder + '/info'):
        path = f'{folder}/info/{name}/'
        if name.endswith('_MON'):
            try:
                monitors += host.root.text(path + 'mon_features').split()
            except Unreadable:
                continue
        elif host.root.present(path + 'num_closids'):
            controls.append(f'{name} '
                            f'({host.root.number(path + "num_closids")})')
    return controls, monitors


def resctrl(host):
    found = mounted(host)
    if not found:
        if not supported(host):
            return unsupported(host)
        return warn('there, but not mounted', 'mount it',
                    f'mount -t resctrl resctrl {DEFAULT}')
    folder, options = found
    controls, monitors = features(host, folder)
    data = {'folder': folder, 'options': options, 'controls': controls,
            'monitors': monitors}
    if not controls and not monitors:
        return warn(f'{folder}: no control and no monitor',
                    'is this resctrl?', data=data)
    return passed(f'groups of {", ".join(controls) or "nothing"}; '
                  f'monitors {", ".join(monitors) or "nothing"}', data=data)


# --- groups -----------------------------------------------------------------

def members(host, folder):
    """Numbers of the threads in a group; openEuler has other words there,
    too, such as iommu_group:17."""
    text = host.root.text(folder + '/tasks', 64 << 20)
    return {whole(word) for word in text.split()} - {None}


def subgroups(host, folder):
    """Folders in FOLDER that are groups."""
    return [f'{folder}/{name}' for name in host.root.names(folder)
            if name not in OTHERS
            and host.root.present(f'{folder}/{name}/tasks')]


def groups_of(host, folder, threads):
    """{group: threads of THREADS in it}, without the default group."""
    found = {}
    for group in subgroups(host, folder):
        inside = members(host, group) & threads
        if inside:
            found[group] = inside
    return found


def schemata(host, group):
    """The limits on one line: 'L3:0=ff;1=ff MB:0=50;1=100'."""
    lines = host.root.text(group + '/schemata').split('\n')
    return ' '.join(line.strip() for line in lines if line.strip())


def group_of_vm(host, folder, vm):
    threads = {thread.tid for thread in vm.threads}
    found = groups_of(host, folder, threads)
    if not found:
        return skipped('in the default group', vm.name,
                       'for a group of its own: <cachetune>, <memorytune>')
    words = [f'{group[len(folder) + 1:]}: {schemata(host, group)}'
             for group in found]
    vcpus = {thread.tid for thread in vm.vcpus()}
    inside = set().union(*found.values())
    data = {'groups': {group[len(folder) + 1:]: schemata(host, group)
                       for group in found}}
    value = '; '.join(words)
    if vcpus & inside and vcpus - inside:
        return warn(f'{len(vcpus & inside)} of {len(vcpus)} vCPUs in {value}',
                    'name all vCPUs in <cachetune> or <memorytune>',
                    subject=vm.name, data=data)
    return passed(value, vm.name, data)


def resctrl_vm(host):
    found = mounted(host)
    if not found:
        return skipped('resctrl is not mounted')
    if not host.vms:
        return skipped('no VM runs')
    return [group_of_vm(host, found[0], vm) for vm in host.vms]


# --- figures ----------------------------------------------------------------

def monitor_group(host, folder, threads):
    """The smallest group that has THREADS, with how many it has: a monitoring
    group, else a group, else the default one."""
    best = (folder, 0)
    for group in [folder] + subgroups(host, folder):
        for one in [group] + subgroups(host, group + '/mon_groups'):
            inside = len(members(host, one) & threads)
            if inside and inside >= best[1]:
                best = (one, inside)
    return best


def _figure(host, path):
    """A number; 'Unavailable', 'Unassigned' or 'Error' is None."""
    return whole(host.root.text(path))


def figures(host, group):
    """{(domain, event): number or None}.  The first kernels of openEuler with
    MPAM have a file for each domain, and no folders."""
    found = {}
    for domain in host.root.names(group + '/mon_data'):
        path = f'{group}/mon_data/{domain}'
        events = host.root.names_or_file(path)
        if events is None:
            event = ('mbm_total_bytes' if domain.startswith('mon_MB')
                     else 'llc_occupancy')
            found[domain, event] = _figure(host, path)
            continue
        for event in events:
            found[domain, event] = _figure(host, f'{path}/{event}')
    return found


def rates(before, after, seconds):
    """{(domain, event): what it is now}: bandwidth in bytes/s, occupancy in
    bytes, None for what cannot be told.  mon_L3_* count bytes, as upstream
    has it; mon_MB_* is openEuler's and shows MB/s at present."""
    found = {}
    for key, value in after.items():
        domain, event = key
        if value is None:
            found[key] = None
        elif not event.startswith('mbm_'):
            found[key] = value
        elif domain.startswith('mon_MB'):
            found[key] = value * MEGA
        else:
            first = before.get(key)
            found[key] = (None if first is None or first > value
                          else (value - first) / seconds)
    return found


CHECKS = (
    ('resctrl', 'cache and bandwidth of VMs can be bounded and seen', resctrl),
    ('resctrl-vm', 'what the groups of running VMs say', resctrl_vm),
)
