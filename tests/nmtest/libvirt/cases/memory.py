# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's chapters on huge pages, NUMA affinity and memory bandwidth."""

import os
import re

from nmtools import ToolError

from .. import host_cannot, libvirt_refuses
from ..daemons import Refused
from ..nested import add_domain, results
from ..suite import case, check, expect, refused

HUGE, NUMA = 'HugePage Memory', 'NUMA Affinity'
BANDWIDTH = 'Memory Bandwidth Monitoring'
CELLS = '''<cpu{more}>{model}<numa>
  <cell id='0' cpus='0' memory='{each}' unit='MiB'/>
  <cell id='1' cpus='1' memory='{each}' unit='MiB'/>
</numa></cpu>'''
RESCTRL = '/sys/fs/resctrl'
HOST_CPU = '''<cpu mode='host-passthrough' check='none'>
  <feature policy='disable' name='arch-capabilities'/></cpu>'''


def pages(size, unit):
    return (f"<memoryBacking><hugepages><page size='{size}' unit='{unit}'/>"
            '</hugepages></memoryBacking>')


def hugetlb_kib(guest):
    return int(guest.status('HugetlbPages').split()[0])


def huge(env, kib, memory, text):
    env.huge_pages(kib, memory * 1024 // kib)
    guest = env.domain(memory=memory, parts=text).start()
    lines = guest.numa_maps('huge')
    check(lines, 'no huge mapping in numa_maps')
    check(any(f'kernelpagesize_kB={kib}' in line for line in lines),
          f'the pages are not of {kib} KiB: {lines[0]}')
    expect(hugetlb_kib(guest), memory * 1024, 'HugetlbPages of QEMU in KiB')
    return f'numa_maps: kernelpagesize_kB={kib}; all {memory} MiB resident'


@case('hugepages-2m', HUGE, "<hugepages><page size='2' unit='MiB'/>")
def hugepages_2m(env):
    return huge(env, 2048, 64, pages(2, 'MiB'))


@case('hugepages-1g', HUGE, "<hugepages><page size='1' unit='GiB'/>")
def hugepages_1g(env):
    return huge(env, 1 << 20, 1024, pages(1, 'GiB'))


@case('thp', HUGE, 'echo always > .../transparent_hugepage/enabled')
def thp(env):
    path = '/sys/kernel/mm/transparent_hugepage/enabled'
    if not os.path.exists(path):
        raise host_cannot('its kernel has no transparent huge pages')
    with open(path, encoding='ascii') as file:
        mode = re.search(r'\[(\w+)\]', file.read()).group(1)
    guest = env.domain(memory=64).start()
    with open(f'/proc/{guest.pid()}/smaps', encoding='utf-8') as file:
        found = re.findall(r'^Size:\s+(\d+) kB(?:.*\n)*?VmFlags:(.*)',
                           file.read(), re.M)
    ram = [flags.split() for size, flags in found if int(size) == 64 * 1024]
    check(ram, 'the RAM is no mapping of 64 MiB')
    check('hg' in ram[0], 'the RAM has not got MADV_HUGEPAGE')
    return (f"the guest's RAM asks for them (MADV_HUGEPAGE); this host's "
            f'mode is {mode}')


def memnodes(nodes, mode='strict'):
    return '<numatune>' + ''.join(
        f"<memnode cellid='{cell}' mode='{mode}' nodeset='{node}'/>"
        for cell, node in enumerate(nodes)) + '</numatune>'


def with_cells(env, parts, memory=64):
    return env.domain(memory=memory, parts=parts, cpu=CELLS.format(
        more='', model='', each=memory // 2))


add_domain('nodes', parts=memnodes((0, 1)), vcpu='<vcpu>2</vcpu>',
           cpu=CELLS.format(more='', model='', each=32))


@case('numatune', NUMA, "<memnode cellid='0' mode='strict' nodeset='0'/>, "
      "cell 1 on node 1")
def numatune(env):
    guest = with_cells(env, memnodes((0, 1)))
    wanted = ['bind:0', 'bind:1']
    if os.path.isdir('/sys/devices/system/node/node1'):
        return bound(guest.start(), wanted)
    text = refused(guest.start, 'node')
    nested = results(env)
    seen = policies(nested.answers('nodes')[1], nested.lines('nodes', 'numa'),
                    wanted)
    return f'{seen}; libvirt and QEMU in a guest of two nodes, since this ' \
        f'host has one ({text})'


def bound(guest, wanted):
    """Policies of the backends, as QEMU and as the kernel tell them."""
    return policies(guest.qmp('query-memdev'), guest.numa_maps(''), wanted)


def policies(backends, lines, wanted):
    backends = sorted(backends, key=lambda each: each['id'])
    check(len(backends) == 2, f'{len(backends)} memory backends, not 2')
    seen = [f"{each['policy']}:{','.join(map(str, each['host-nodes']))}"
            for each in backends]
    expect(seen, wanted, 'query-memdev')
    for policy in set(wanted):
        name = policy.replace('preferred', 'prefer')
        # As 'bind:0', 'prefer:0' or 'prefer (many):0'
        name, nodes = name.split(':')
        check(any(re.search(rf' {name}( \(many\))?:{nodes} ', line)
                  for line in lines),
              f'no {policy} in numa_maps')
    return f'query-memdev and numa_maps: {", ".join(seen)}'


@case('numatune-one-node', NUMA, "<memnode cellid='0' mode='strict' "
      "nodeset='0'/>, cell 1 on node 0")
def numatune_one_node(env):
    return bound(with_cells(env, memnodes((0, 0))).start(),
                 ['bind:0', 'bind:0'])


@case('numatune-preferred', NUMA, "<memnode cellid='0' mode='preferred' "
      "nodeset='0'/>")
def numatune_preferred(env):
    return bound(with_cells(env, memnodes((0, 0), 'preferred')).start(),
                 ['preferred:0', 'preferred:0'])


@case('numatune-interleave', NUMA, "<memnode cellid='0' mode='interleave' "
      "nodeset='0'/>")
def numatune_interleave(env):
    return bound(with_cells(env, memnodes((0, 0), 'interleave')).start(),
                 ['interleave:0', 'interleave:0'])


def need_resctrl(error, what):
    if os.path.isdir(RESCTRL + '/info'):
        raise error
    with open('/proc/filesystems', encoding='ascii') as file:
        known = 'resctrl' in file.read().split()
    state = 'resctrl is not mounted' if known else \
        'its kernel has no resctrl for this CPU'
    raise host_cannot(f'{state}, which {what} needs; libvirt: {error}') \
        from None


def tune(env, inner, what):
    """A control group of the VM holds what was asked for."""
    guest = env.domain(parts=f'<cputune>{inner}</cputune>', cpu=HOST_CPU)
    guest.xml = guest.xml.replace("type='qemu'", "type='kvm'")
    try:
        guest.define()
        guest.on('start', '--paused')
    except Refused as error:
        need_resctrl(error, what)
    pid = guest.pid()
    for folder, _, files in os.walk(RESCTRL):
        if 'tasks' in files and folder != RESCTRL:
            with open(os.path.join(folder, 'tasks'), encoding='ascii') as file:
                if any(int(line) in guest.threads() for line in file):
                    with open(os.path.join(folder, 'schemata'),
                              encoding='ascii') as schemata:
                        return 'schemata: ' + ' '.join(schemata.read().split())
    raise ToolError(f'no control group below resctrl has a thread of {pid}')


def refuse_form(env, element, words):
    """An element of <cputune> that libvirt does not take, saying WORDS."""
    guest = env.domain(parts=f'<cputune>{element}</cputune>')
    text = refused(guest.define, words)
    raise libvirt_refuses(f"the form is of openEuler's libvirt: {text}")


@case('cachetune-priority', BANDWIDTH, "<cachetune vcpus='0-1'><cache id='0' "
      "level='3' type='priority' size='1'/>")
def cachetune_priority(env):
    refuse_form(env, '''<cachetune vcpus='0-1'>
        <cache id='0' level='3' type='priority' size='1'/></cachetune>''',
                'priority')


@case('cachetune', BANDWIDTH, "<cachetune vcpus='0-1'><cache id='0' "
      "level='3' type='both' size='3' unit='MiB'/>")
def cachetune(env):
    return tune(env, '''<cachetune vcpus='0-1'><cache id='0' level='3'
        type='both' size='3' unit='MiB'/></cachetune>''', 'cache allocation')


@case('memorytune-mpam', BANDWIDTH, "<memorytune><node id='0' bandwidth='100' "
      "min_bandwidth='50' hardlimit='1' priority='3'/>")
def memorytune_mpam(env):
    refuse_form(env, '''<memorytune><node id='0' bandwidth='100'
        min_bandwidth='50' hardlimit='1' priority='3'/></memorytune>''',
                'vcpus')


@case('memorytune', BANDWIDTH, "<memorytune vcpus='0-1'><node id='0' "
      "bandwidth='50'/>")
def memorytune(env):
    return tune(env, '''<memorytune vcpus='0-1'>
        <node id='0' bandwidth='50'/></memorytune>''', 'bandwidth control')
