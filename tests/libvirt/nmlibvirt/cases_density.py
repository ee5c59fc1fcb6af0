# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's last chapter: all of it in one domain."""

from . import qemu_lacks
from .cases_cpu import vcpu_threads
from .cases_hostdev import ON_PXB, PXB, hostdev
from .cases_iothread import CPUS, disk
from .cases_tpm import TPM
from .daemons import Refused
from .suite import case, check, expect

SECTION = 'High-Density Many-Core Computing'
MEMORY = 64
PARTS = '''<memoryBacking><hugepages><page size='2' unit='MiB'/></hugepages>
</memoryBacking><iothreads>2</iothreads><iothreadids>
<iothread id='1'><poll max='32768'/></iothread><iothread id='2'/></iothreadids>
<cputune>{pins}<iothreadpin iothread='1' cpuset='{last}'/></cputune>
<numatune><memnode cellid='0' mode='strict' nodeset='0'/>
<memnode cellid='1' mode='strict' nodeset='0'/></numatune>'''
CPU = '''<cpu mode='maximum' check='none'>
<topology sockets='1' {clusters} cores='{cores}' threads='1'/><numa>
<cell id='0' cpus='0-1' memory='{half}' unit='MiB'/>
<cell id='1' cpus='2-3' memory='{half}' unit='MiB'/></numa></cpu>'''
# What query-tuning must know of, with this domain
AREAS = ('iothread', 'vcpu', 'huge-pages', 'numa', 'msix', 'topology', 'tpm')


def combined(env, clusters=True):
    env.huge_pages(2048, MEMORY // 2)
    pins = ''.join(f"<vcpupin vcpu='{vcpu}' cpuset='{CPUS[vcpu % len(CPUS)]}'"
                   '/>' for vcpu in range(4))
    return env.domain(
        memory=MEMORY, vcpu='<vcpu>4</vcpu>',
        parts=PARTS.format(pins=pins, last=CPUS[-1]),
        cpu=CPU.format(half=MEMORY // 2, cores=2 if clusters else 4,
                       clusters="clusters='2'" if clusters else ''),
        devices=PXB + disk(env.disk(), "iothread='1'/>")
        + hostdev('0000:03:10.0', ON_PXB) + TPM.format(model='tpm-tis'),
        extra='<qemu:commandline>' + env.stand_in().environment()
        + '</qemu:commandline>').start()


def check_all(guest):
    """Each setting on its own, in QEMU or in the kernel."""
    threads = guest.threads()
    for vcpu, thread in vcpu_threads(guest).items():
        expect(threads[thread], {CPUS[vcpu % len(CPUS)]},
               f'affinity of vCPU {vcpu}')
    entry = guest.iothreads()['iothread1']
    expect(entry['poll-max-ns'], 32768, 'poll-max-ns of iothread1')
    expect(threads[entry['thread-id']], {CPUS[-1]}, 'affinity of iothread1')
    expect(guest.get(guest.device('virtio-disk1'), 'iothread'),
           '/objects/iothread1', 'iothread of the disk')
    for backend in guest.qmp('query-memdev'):
        expect((backend['policy'], backend['host-nodes']), ('bind', [0]),
               f"binding of {backend['id']}")
    expect(guest.status('HugetlbPages').split()[0], str(MEMORY * 1024),
           'HugetlbPages of QEMU in KiB')
    expect(guest.get(guest.device('ua-pxb'), 'numa_node'), 0, 'numa_node')
    expect(guest.get(guest.device('ua-sm2262'), 'host'), '0000:03:10.0',
           'host of the passed-through device')
    expect(len(guest.qmp('query-tpm')), 1, 'the number of TPMs')


@case('density', SECTION, 'topology, pinning, memnode, huge pages, IOThreads, '
      'a device on a node, vTPM: one domain')
def density(env):
    try:
        guest = combined(env)
    except Refused as error:
        if 'clusters > 1 not supported' in str(error):
            raise qemu_lacks('there are no clusters on q35; see the '
                             'next setting') from None
        raise
    check_all(guest)
    return 'each setting seen as in its own case; device a stand-in, both ' \
        'memory nodes on node 0'


@case('density-no-clusters', SECTION, 'the same without clusters')
def density_no_clusters(env):
    check_all(combined(env, clusters=False))
    return 'each setting seen as in its own case'


@case('density-tuning', SECTION, 'the same without clusters, told by '
      'query-tuning')
def density_tuning(env):
    guest = combined(env, clusters=False)
    if not guest.has_command('query-tuning'):
        raise qemu_lacks('there is no query-tuning')
    rows = guest.qmp('query-tuning')
    areas = {row['area'] for row in rows}
    missing = [area for area in AREAS if area not in areas]
    bad = [f"{row['object']} {row['setting']}" for row in rows
           if row['status'] == 'differs']
    check(not bad, f'query-tuning tells of a difference: {", ".join(bad)}')
    check(not missing, f'query-tuning lacks {", ".join(missing)}; it has '
          f'{", ".join(sorted(areas))}')
    good = sum(row['status'] == 'ok' for row in rows)
    return f'{good} of {len(rows)} settings ok, in {", ".join(sorted(areas))}'
