# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's chapters on halt polling in guests, topology and pinning."""

import fcntl
import os

from .. import host_cannot
from ..suite import case, check, expect, refused
from .iothread import CPUS
from .memory import HOST_CPU

KVM_CREATE_VM = 0xae01
HALT, TOPOLOGY = 'Guest-Idle-Haltpoll', 'Transparent Transmission of ' \
    'Hardware Topology'
PINNING = 'vCPU Core Binding'
# The older one of TCG's default takes 8 vCPUs
GIC = "<gic version='3'/>"
HINT = "<kvm><hint-dedicated state='on'/></kvm>"


def vcpu_threads(guest):
    return {entry['cpu-index']: entry['thread-id']
            for entry in guest.qmp('query-cpus-fast')}


def no_kvm():
    """Why this host makes no KVM machine; None if it does."""
    try:
        kvm = os.open('/dev/kvm', os.O_RDWR)
    except OSError as error:
        return f'it has no KVM: {error}'
    try:
        os.close(fcntl.ioctl(kvm, KVM_CREATE_VM, 0))
    except OSError as error:
        return f'its KVM makes no VM: {error}'
    finally:
        os.close(kvm)
    return None


@case('hint-dedicated', HALT, "<kvm><hint-dedicated state='on'/></kvm>")
def hint_dedicated(env):
    why = no_kvm()
    if why:
        raise host_cannot(why)
    guest = env.domain(features=HINT, cpu=HOST_CPU)
    guest.xml = guest.xml.replace("type='qemu'", "type='kvm'")
    guest.define()
    guest.on('start', '--paused')
    path = guest.qmp('query-cpus-fast')[0]['qom-path']
    expect(guest.get(path, 'kvm-hint-dedicated'), True, 'kvm-hint-dedicated')
    check(guest.qmp('query-kvm')['enabled'], 'KVM is not in use')
    return 'started paused on KVM; qom-get: kvm-hint-dedicated true'


def big(env, arch, current, pins=''):
    """The guide's 32 vCPUs, CURRENT of them there from the start."""
    model = "mode='maximum' check='none'>" if arch == 'x86_64' else \
        "mode='custom' match='exact' check='none'><model>max</model>"
    return env.domain(
        arch, features=GIC if arch == 'aarch64' else '',
        parts=f'<cputune>{pins}</cputune>' if pins else '',
        vcpu=f"<vcpu placement='static' current='{current}'>32</vcpu>",
        cpu=f"""<cpu {model}<topology sockets='1' clusters='4' cores='4'
        threads='2'/></cpu>""").start()


def places(entries):
    """(cluster, core, thread); x86 calls a cluster module."""
    return [(each['props'].get('cluster-id', each['props'].get('module-id')),
             each['props']['core-id'], each['props']['thread-id'])
            for each in entries]


def all_there(entries, what):
    """Each of the 32 places once."""
    wanted = [(cluster, core, thread) for cluster in range(4)
              for core in range(4) for thread in range(2)]
    expect(sorted(places(entries)), wanted, f'(cluster, core, thread) in {what}')


@case('clusters-x86', TOPOLOGY, "<vcpu current='4'>32</vcpu>, <topology "
      "sockets='1' clusters='4' cores='4' threads='2'/> on q35")
def clusters_x86(env):
    guest = big(env, 'x86_64', 4)
    all_there(guest.qmp('query-hotpluggable-cpus'), 'query-hotpluggable-cpus')
    expect(len(vcpu_threads(guest)), 4, 'the number of running vCPUs')
    return 'query-hotpluggable-cpus: 4 clusters of 4 cores of 2 threads; ' \
        '4 of 32 vCPUs run'


def pinned_in_order(env, arch):
    """libvirt's vCPU 1 must be QEMU's: it sorts them by its own topology."""
    first, last = CPUS[0], CPUS[-1]
    guest = big(env, arch, 32, ''.join(
        f"<vcpupin vcpu='{vcpu}' cpuset='{last if vcpu == 1 else first}'/>"
        for vcpu in range(32)))
    entries = sorted(guest.qmp('query-cpus-fast'),
                     key=lambda each: each['cpu-index'])
    all_there(entries, 'query-cpus-fast')
    threads = guest.threads()
    on_last = [each['cpu-index'] for each in entries
               if threads[each['thread-id']] == {last}]
    if first != last:
        expect(on_last, [1], "QEMU's index of the vCPU that libvirt calls 1")
    return 'query-cpus-fast: 4 clusters of 4 cores of 2 threads, each vCPU ' \
        'pinned as numbered'


@case('clusters-x86-full', TOPOLOGY, "the same with <vcpu>32</vcpu> and "
      'vcpupin, on q35')
def clusters_x86_full(env):
    return pinned_in_order(env, 'x86_64')


@case('clusters-arm', TOPOLOGY, "<vcpu current='4'>32</vcpu>, <topology "
      "sockets='1' clusters='4' cores='4' threads='2'/> on virt")
def clusters_arm(env):
    guest = big(env, 'aarch64', 4)
    entries = guest.qmp('query-cpus-fast')
    expect(sorted(places(entries)), [(0, 0, 0), (0, 0, 1), (0, 1, 0),
                                     (0, 1, 1)], '(cluster, core, thread)')
    return '4 of 32 vCPUs run, in cluster 0; virt has no vCPU hotplug'


@case('clusters-arm-full', TOPOLOGY, "the same with <vcpu>32</vcpu> and "
      'vcpupin, on virt')
def clusters_arm_full(env):
    return pinned_in_order(env, 'aarch64')


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
