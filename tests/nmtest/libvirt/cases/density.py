# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's last chapter: all of it in one domain."""

import json
import os
import subprocess
from collections import Counter

from ... import ROOT
from ..daemons import URI
from ..suite import case, check, expect
from .cpu import places, vcpu_threads
from .hostdev import ON_PXB, PXB, hostdev, override
from .iothread import CPUS, disk
from .tpm import TPM

SECTION = 'High-Density Many-Core Computing'
MEMORY, HUGE_PAGE = 64, 2 << 20
VCPUS = 4
# poll-max-ns of IOThreads 1 and 2, which are pinned in this order
POLL = (16384, 65536)
# Other settings of each IOThread: what <poll> says, and QEMU's defaults
LOOP = {'poll-grow': 4, 'poll-shrink': 2, 'aio-max-batch': 0,
        'thread-pool-min': 0, 'thread-pool-max': 64}
# Which nobody has set
POLICY = {'poll-policy': 'predictive', 'poll-weight': 3,
          'poll-latency-weight': 5, 'poll-cpu-limit': 0}
PARTS = '''<memoryBacking><hugepages><page size='2' unit='MiB'/></hugepages>
</memoryBacking><iothreads>2</iothreads><iothreadids>{polls}</iothreadids>
<cputune>{pins}</cputune>
<numatune><memnode cellid='0' mode='strict' nodeset='0'/>
<memnode cellid='1' mode='strict' nodeset='0'/></numatune>'''
CPU = '''<cpu mode='maximum' check='none'>
<topology sockets='1' clusters='2' cores='2' threads='1'/><numa>
<cell id='0' cpus='0-1' memory='{half}' unit='MiB'/>
<cell id='1' cpus='2-3' memory='{half}' unit='MiB'/></numa></cpu>'''
DEVICE, IOTHREAD = '/machine/peripheral/', '/objects/iothread'


def cpu_of(number):
    """The host CPU that a vCPU or an IOThread is pinned to."""
    return CPUS[number % len(CPUS)]


def combined(env):
    env.huge_pages(HUGE_PAGE >> 10, MEMORY // 2)
    pins = ''.join(f"<vcpupin vcpu='{vcpu}' cpuset='{cpu_of(vcpu)}'/>"
                   for vcpu in range(VCPUS))
    pins += ''.join(f"<iothreadpin iothread='{number}' "
                    f"cpuset='{cpu_of(number)}'/>" for number in (1, 2))
    polls = ''.join(f"<iothread id='{number}'><poll max='{poll}' grow='4' "
                    "shrink='2'/></iothread>"
                    for number, poll in enumerate(POLL, 1))
    return env.domain(
        memory=MEMORY, vcpu=f'<vcpu>{VCPUS}</vcpu>',
        parts=PARTS.format(pins=pins, polls=polls),
        cpu=CPU.format(half=MEMORY // 2),
        devices=PXB + disk(env.disk(), "iothread='1'/>")
        + hostdev('0000:03:10.0', ON_PXB) + TPM.format(model='tpm-tis'),
        extra='<qemu:commandline>' + env.stand_in().environment()
        + '</qemu:commandline>' + override(
            ('x-msix-relocation', 'string', 'bar2'),
            ('numa-node', 'signed', 0))).start()


def check_threads(guest):
    threads, entries = guest.threads(), guest.iothreads()
    for vcpu, thread in vcpu_threads(guest).items():
        expect(threads[thread], {cpu_of(vcpu)}, f'affinity of vCPU {vcpu}')
    for number, poll in enumerate(POLL, 1):
        entry = entries[f'iothread{number}']
        expect([entry[f'poll-{name}'] for name in ('max-ns', 'grow',
                                                   'shrink')],
               [poll, 4, 2], f'polling of iothread{number}')
        expect(threads[entry['thread-id']], {cpu_of(number)},
               f'affinity of iothread{number}')
    expect(guest.get(guest.device('virtio-disk1'), 'iothread'),
           IOTHREAD + '1', 'iothread of the disk')


def check_rest(guest):
    for backend in guest.qmp('query-memdev'):
        expect((backend['policy'], backend['host-nodes']), ('bind', [0]),
               f"binding of {backend['id']}")
    expect(guest.status('HugetlbPages').split()[0], str(MEMORY * 1024),
           'HugetlbPages of QEMU in KiB')
    expect(guest.get(guest.device('ua-pxb'), 'numa_node'), 0, 'numa_node')
    for name, wanted in (('host', '0000:03:10.0'), ('numa-node', '0'),
                         ('x-msix-relocation', 'bar2')):
        expect(str(guest.get(guest.device('ua-sm2262'), name)), wanted,
               f'{name} of the passed-through device')
    expect(len(guest.qmp('query-tpm')), 1, 'the number of TPMs')
    expect(sorted(places(guest.qmp('query-cpus-fast'))),
           [(cluster, core, 0) for cluster in (0, 1) for core in (0, 1)],
           '(cluster, core, thread)')


@case('density', SECTION, 'topology with clusters, vcpupin, iothreadpin, '
      'memnode, huge pages, <poll>, a device on a node, vTPM: one domain')
def density(env):
    guest = combined(env)
    check_threads(guest)
    check_rest(guest)
    return 'each setting seen as in its own case; device a stand-in, both ' \
        'memory nodes on node 0'


# --- query-tuning -----------------------------------------------------------

def wanted_rows(guest):
    """{(area, object, setting): (requested, effective, status)}.

    libvirt pins threads, and chooses the folder of huge pages, on its own:
    QEMU has not been asked for it, and tells what there is."""
    smp = f'sockets=1,clusters=2,cores=2,threads=1,maxcpus={VCPUS}'
    device = DEVICE + 'ua-sm2262'
    rows = {
        ('halt-polling', '/machine', 'kvm-halt-poll-ns'):
            (None, None, 'unavailable'),
        ('msix', device, 'x-msix-relocation'): ('bar2', 'bar2', 'ok'),
        ('numa', device, 'numa-node'): ('0', '0', 'ok'),
        ('topology', '/machine', 'smp'): (smp, smp, 'ok'),
        ('tpm', DEVICE + 'tpm0', 'state'): ('ready', 'ready', 'ok')}
    for entry in guest.qmp('query-cpus-fast'):
        rows['vcpu', entry['qom-path'], 'cpu-affinity'] = \
            None, str(cpu_of(entry['cpu-index'])), 'unset'
    for number, poll in enumerate(POLL, 1):
        name = f'{IOTHREAD}{number}'
        rows['iothread', name, 'cpu-affinity'] = \
            None, str(cpu_of(number)), 'unset'
        for setting, value in {**LOOP, **POLICY,
                               'poll-max-ns': poll}.items():
            rows['iothread', name, setting] = str(value), str(value), 'ok'
    for node in (0, 1):
        name = f'/objects/ram-node{node}'
        rows['huge-pages', name, 'page-size'] = None, str(HUGE_PAGE), 'unset'
        rows['thp', name, 'thp'] = None, 'hugetlb', 'unavailable'
        rows['numa', name, 'policy'] = 'bind:0', 'bind:0', 'ok'
    return rows


def check_rows(found, wanted):
    """Every row that there must be, and no other one."""
    seen = {(row['area'], row['object'], row['setting']): row
            for row in found}
    for key, values in wanted.items():
        what = f'query-tuning {" ".join(key)}'
        check(key in seen, f'{what} is missing; there are '
              + ', '.join(' '.join(each) for each in sorted(seen)))
        row = seen[key]
        expect((row.get('requested'), row.get('effective'), row['status']),
               values, f'{what}: (requested, effective, status)')
        check(row['status'] != 'unavailable' or row.get('reason'),
              f'{what} is unavailable without a reason')
    more = seen.keys() - wanted.keys()
    check(not more and len(found) == len(seen),
          f'query-tuning has more rows than known: {sorted(more)}')


def check_moved(guest, wanted):
    """The vCPU is moved by libvirt, and its row with it."""
    path = next(entry['qom-path'] for entry in guest.qmp('query-cpus-fast')
                if entry['cpu-index'] == 0)
    guest.on('vcpupin', '0', str(CPUS[-1]), '--live')
    wanted['vcpu', path, 'cpu-affinity'] = None, str(CPUS[-1]), 'unset'
    check_rows(guest.qmp('query-tuning'), wanted)


@case('density-tuning', SECTION, 'query-tuning of the same domain, row by row')
def density_tuning(env):
    guest = combined(env)
    found, wanted = guest.qmp('query-tuning'), wanted_rows(guest)
    check_rows(found, wanted)
    check_moved(guest, wanted)
    counts = Counter(row['status'] for row in found)
    reasons = sorted({row['reason'] for row in found
                      if row['status'] == 'unavailable'})
    areas = sorted({row['area'] for row in found})
    return (f'all {len(found)} rows as expected, in {", ".join(areas)}: '
            f"{counts['ok']} ok, {counts['unset']} unset with what libvirt "
            f"made them, {counts['unavailable']} unavailable "
            f'({"; ".join(reasons)})')


@case('density-host-check', SECTION,
      'scripts/host-check --vm libvirt:DOMAIN of the same domain')
def density_host_check(env):
    guest = combined(env)
    done = subprocess.run(
        [os.path.join(ROOT, 'scripts', 'host-check'), '--json', '--vm',
         f'libvirt:{guest.name}', 'vm-tuning'], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
        env=dict(os.environ, LIBVIRT_DEFAULT_URI=URI))
    check(done.returncode == 0, f'host-check: {done.stderr}{done.stdout}')
    lines = json.loads(done.stdout)
    counts = Counter(line['status'] for line in lines)
    expect(len(lines), len(wanted_rows(guest)), 'lines for query-tuning')
    check(not counts['WARN'] + counts['FAIL'], f'complaints: {lines}')
    return (f"a line for each row of query-tuning: {counts['PASS']} PASS, "
            f"{counts['SKIP']} SKIP")
