# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's chapters on halt polling in guests, topology and pinning."""

import os

from . import SuiteError, host_cannot
from .cases_iothread import CPUS
from .daemons import Refused
from .suite import case, check, expect, refused

HALT, TOPOLOGY = 'Guest-Idle-Haltpoll', 'Transparent Transmission of ' \
    'Hardware Topology'
PINNING = 'vCPU Core Binding'
HINT = "<kvm><hint-dedicated state='on'/></kvm>"
PROBE_SECONDS = 10


def vcpu_threads(guest):
    return {entry['cpu-index']: entry['thread-id']
            for entry in guest.qmp('query-cpus-fast')}


@case('hint-dedicated', HALT, "<kvm><hint-dedicated state='on'/></kvm>")
def hint_dedicated(env):
    guest = env.domain(features=HINT,
                       cpu="<cpu mode='maximum' check='none'/>").start()
    path = guest.qmp('query-cpus-fast')[0]['qom-path']
    expect(guest.get(path, 'kvm-hint-dedicated'), True, 'kvm-hint-dedicated')
    return ("qom-get: kvm-hint-dedicated true, with <cpu mode='maximum'>; "
            'CPUID tells it under KVM only')


@case('hint-dedicated-kvm', HALT, "<domain type='kvm'> with hint-dedicated, "
      "<cpu mode='host-passthrough'>")
def hint_dedicated_kvm(env):
    guest = env.domain(features=HINT, cpu='''<cpu mode='host-passthrough'
        check='none'><feature policy='disable' name='arch-capabilities'/>
        </cpu>''')
    guest.xml = guest.xml.replace("type='qemu'", "type='kvm'")
    try:
        guest.define()
        guest.on('start', '--paused')
    except Refused as error:
        raise host_cannot(f'KVM does not take the guest: {error}') from error
    path = guest.qmp('query-cpus-fast')[0]['qom-path']
    expect(guest.get(path, 'kvm-hint-dedicated'), True, 'kvm-hint-dedicated')
    check(guest.qmp('query-kvm')['enabled'], 'KVM is not in use')
    return 'started paused on KVM; qom-get: kvm-hint-dedicated true'


def topology(env, arch, cpu, current=4):
    guest = env.domain(
        arch, vcpu=f"<vcpu placement='static' current='{current}'>32</vcpu>",
        cpu=f'''<cpu {cpu}<topology sockets='1' clusters='4' cores='4'
        threads='2'/></cpu>''').start()
    entries = guest.qmp('query-hotpluggable-cpus')
    expect(len(entries), 32, 'the number of CPUs')
    seen = {(each['props'].get('cluster-id'), each['props']['core-id'],
             each['props']['thread-id']) for each in entries}
    expect(len(seen), 32, 'the number of distinct places')
    expect(sorted({place[0] for place in seen}), [0, 1, 2, 3],
           'cluster-id in query-hotpluggable-cpus')
    used = len(vcpu_threads(guest))
    expect(used, current, 'the number of running vCPUs')
    return (f'query-hotpluggable-cpus: clusters 0-3 of 4 cores of 2 threads, '
            f'{used} of 32 vCPUs run')


@case('clusters-x86', TOPOLOGY, "<topology sockets='1' clusters='4' "
      "cores='4' threads='2'/> on q35")
def clusters_x86(env):
    try:
        return topology(env, 'x86_64', "mode='maximum' check='none'>")
    except Refused as error:
        if 'cluster' in str(error):
            raise SuiteError('this QEMU has no clusters on q35: '
                             + str(error)) from error
        raise


@case('clusters-arm', TOPOLOGY, "<topology sockets='1' clusters='4' "
      "cores='4' threads='2'/> on virt")
def clusters_arm(env):
    return topology(env, 'aarch64',
                    "mode='custom' match='exact' check='none'>"
                    '<model>max</model>')


@case('vcpupin', PINNING, "<vcpupin vcpu='0' cpuset='0'/>")
def vcpupin(env):
    pins = {0: CPUS[0], 1: CPUS[-1]}
    guest = env.domain(parts='<cputune>' + ''.join(
        f"<vcpupin vcpu='{vcpu}' cpuset='{cpu}'/>"
        for vcpu, cpu in pins.items()) + '</cputune>').start()
    threads = guest.threads()
    for vcpu, thread in vcpu_threads(guest).items():
        expect(threads[thread], {pins[vcpu]}, f'affinity of vCPU {vcpu}')
    return f'sched_getaffinity: vCPU 0 on {pins[0]}, vCPU 1 on {pins[1]}'


@case('vcpupin-outside', PINNING, "<vcpupin vcpu='0' cpuset='20'/>")
def vcpupin_outside(env):
    guest = env.domain(parts='''<cputune><vcpupin vcpu='0' cpuset='20'/>
        <vcpupin vcpu='1' cpuset='21'/></cputune>''')
    if {20, 21} <= set(CPUS):
        guest.start()
        seen = guest.threads()[vcpu_threads(guest)[1]]
        expect(seen, {21}, 'affinity of vCPU 1')
        return 'the literal text: vCPU 0 on 20, vCPU 1 on 21'
    text = refused(guest.start, 'range')
    raise host_cannot(f'it has {os.cpu_count()} CPUs; libvirt: {text}')
