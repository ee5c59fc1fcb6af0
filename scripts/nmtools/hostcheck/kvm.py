# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Halt polling, kworkers, WFI, and what a guest does when it waits."""

import struct

from .cpus import cpu_file, format_list, format_mask, parse_mask
from .result import TRUE, passed, skipped, warn, write
from .sysroot import Unreadable

KVM = '/sys/module/kvm/parameters/'
# Guides use 400000 and 500000; a vCPU that spins for this long wastes a CPU
LONG_POLL_NS = 10_000_000
HALT_POLL_NS = 200000
WORKQUEUE = '/sys/devices/virtual/workqueue/cpumask'
CPUIDLE = '/sys/devices/system/cpu/cpuidle/'
HALTPOLL = '/sys/module/haltpoll/parameters/guest_halt_poll_'
NO_KVM = 'KVM is not there: not loaded, turned off, or inside a VM'
KERNEL_LINE = "add to the kernel's command line, then reboot: "


def optional(root, path):
    """A number, None where the kernel has no such file."""
    try:
        return root.number(path)
    except Unreadable as reason:
        if reason.missing:
            return None
        raise


def halt_poll(host):
    if not host.root.present(KVM + 'halt_poll_ns'):
        return skipped('no ' + KVM + 'halt_poll_ns: KVM is not loaded')
    if not host.kvm:
        return skipped(NO_KVM)
    limit = host.root.number(KVM + 'halt_poll_ns')
    grow = optional(host.root, KVM + 'halt_poll_ns_grow')
    if limit == 0:
        return warn('0: off', 'let idle vCPUs poll before they sleep',
                    write(HALT_POLL_NS, KVM + 'halt_poll_ns'))
    if grow == 0:
        # A vCPU begins with 0 and grow 0 leaves it there
        return warn(f'{limit} ns, but halt_poll_ns_grow is 0: no vCPU polls',
                    'let the time grow',
                    write(2, KVM + 'halt_poll_ns_grow'))
    if limit > LONG_POLL_NS:
        return warn(f'{limit} ns: idle vCPUs keep their CPUs busy',
                    f'at most {LONG_POLL_NS}',
                    write(HALT_POLL_NS, KVM + 'halt_poll_ns'))
    return passed(f'{limit} ns')


def set_aside(host):
    """CPUs that are isolated, and those that a vCPU is bound to alone: two
    sets.  QEMU's other threads, and IOThreads, may have CPUs of the host."""
    isolated = (cpu_file(host.root, '/sys/devices/system/cpu/isolated')
                | cpu_file(host.root, '/sys/devices/system/cpu/nohz_full'))
    pinned = set()
    for vm in host.vms:
        for thread in vm.vcpus():
            if len(thread.cpus) == 1 < len(host.online):
                pinned |= thread.cpus
    return isolated & host.online, pinned & host.online


def workqueue(host):
    """The mask bounds unbound work; per-CPU work stays where it was queued."""
    mask = parse_mask(host.root.text(WORKQUEUE), WORKQUEUE) & host.online
    if not mask:
        raise Unreadable(WORKQUEUE, 'no CPU that is online')
    isolated, pinned = set_aside(host)
    where = format_list(mask)
    shared = mask & (isolated | pinned)
    if shared:
        what = ' and '.join(
            f'{word} {format_list(mask & cpus)}' for word, cpus in
            (('isolated', isolated), ('bound to VMs', pinned)) if mask & cpus)
        left = mask - isolated - pinned or host.online - isolated - pinned
        if not left:
            return warn(f'CPUs {where}, {what}',
                        'leave a CPU to the host: all are isolated or bound')
        return warn(f'CPUs {where}, {what}', 'keep kworkers off them',
                    write(format_mask(left), WORKQUEUE))
    if not isolated and not pinned and mask == host.online:
        return skipped(f'CPUs {where}; none is isolated or bound to a VM')
    return passed(f'CPUs {where}')


# --- Arm --------------------------------------------------------------------

def wfi_trap(host):
    """openEuler has a switch, Linux 6.11 an option; else KVM decides."""
    if host.arch != 'aarch64':
        return skipped('not an Arm host')
    if not host.kvm:
        return skipped(NO_KVM)
    switch = KVM + 'force_wfi_trap'
    if host.root.present(switch):
        if host.root.word(switch, ('Y', 'N')) == 'Y':
            return warn('force_wfi_trap=Y: each WFI leaves the guest',
                        'let idle vCPUs wait without', write('N', switch))
        return passed('force_wfi_trap=N')
    policy = host.parameters.get('kvm_arm.wfi_trap_policy')
    remedy = (KERNEL_LINE + 'kvm-arm.wfi_trap_policy=notrap (Linux 6.11 or '
              'later)')
    if policy == 'notrap':
        return passed('kvm-arm.wfi_trap_policy=notrap')
    if policy == 'trap':
        return warn('kvm-arm.wfi_trap_policy=trap: each WFI leaves the guest',
                    remedy)
    return warn("KVM's default: WFI traps unless the vCPU is alone on its CPU",
                remedy)


def vgic_v4(host):
    """The kernel's log tells what became of the option, if it goes back so
    far: 'GICv4.1 support enabled'."""
    if host.arch != 'aarch64':
        return skipped('not an Arm host')
    if not host.kvm:
        return skipped(NO_KVM)
    value = host.parameters.get('kvm_arm.vgic_v4_enable')
    asked = f'kvm-arm.vgic_v4_enable={value}'
    if value not in TRUE:
        return warn('off' if value is None else asked,
                    KERNEL_LINE + 'kvm-arm.vgic_v4_enable=1')
    for version in ('GICv4.1', 'GICv4'):
        if f'{version} support enabled' in host.log:
            if version == 'GICv4.1':
                return passed('GICv4.1 enabled')
            return warn('GICv4.0 enabled: no direct injection of SGIs',
                        'switch GICv4.1 on in the firmware, if it is there')
    if 'kvm [1]' in host.log:
        return warn(f'{asked}, but KVM found no GICv4',
                    'switch GICv4.1 on in the firmware')
    return passed(f'{asked}; the log does not go back to the boot')


# --- inside a guest ---------------------------------------------------------

def kvm_features(host):
    """Features and hints of KVM's leaf 0x40000001: EAX and EDX, or None."""
    try:
        found = host.root.data('/dev/cpu/0/cpuid', offset=0x40000001, exact=16)
    except Unreadable:
        return None
    if len(found) < 16:
        return None
    eax, _, _, edx = struct.unpack('<4I', found)
    return eax, edx


def x86_spinlock(host):
    """The log says it; cpuid (module and root) and options hint at it."""
    dedicated = 'off, as vCPUs have CPUs of their own (kvm-hint-dedicated)'
    if 'PV spinlocks enabled' in host.log:
        return passed('enabled')
    if 'KVM_HINTS_REALTIME' in host.log:
        return passed(dedicated)
    if 'nopvspin' in host.parameters:
        return warn('nopvspin is on the command line', 'remove it and reboot')
    if 'PV spinlocks disabled, no host support' in host.log:
        return warn('no support by the host',
                    'on the host: -cpu ...,kvm-pv-unhalt=on')
    features = kvm_features(host)
    if features is None:
        return skipped("neither the kernel's log nor /dev/cpu/0/cpuid tells",
                       remedy='run as root; modprobe cpuid')
    if features[1] & 1:
        return passed(dedicated)
    if not features[0] >> 7 & 1:
        return warn('no support by the host',
                    'on the host: -cpu ...,kvm-pv-unhalt=on')
    return passed('the host supports it')


def arm_spinlock(host):
    """A feature of openEuler's kernels, in the host and in the guest."""
    if 'PV qspinlocks enabled' in host.log:
        return passed('enabled')
    if 'arm_pvspin' not in host.parameters:
        return warn('off', KERNEL_LINE
                    + 'arm_pvspin (openEuler 20.09 or later, host and guest)')
    if 'PV qspinlocks disabled' in host.log:
        return warn('arm_pvspin is given, but the host has no support',
                    'run openEuler 20.09 or later on the host')
    return skipped("arm_pvspin is given; the kernel's log does not tell more",
                   remedy='run as root, soon after the boot')


def pv_qspinlock(host):
    if not host.guest:
        return skipped('not inside a VM')
    if len(host.online) == 1:
        return skipped('one CPU: nobody waits for a lock')
    return x86_spinlock(host) if host.arch == 'x86_64' else arm_spinlock(host)


def guest_haltpoll(host):
    if not host.guest:
        return skipped('not inside a VM')
    try:
        driver = host.root.text(CPUIDLE + 'current_driver')
    except Unreadable as reason:
        if not reason.missing:
            raise
        driver = 'none'
    if driver != 'haltpoll':
        if host.arch == 'aarch64':
            remedy = (KERNEL_LINE + 'cpuidle_haltpoll.force=Y haltpoll.enable'
                      '=Y')
        else:
            remedy = ('on the host kvm-hint-dedicated=on; or '
                      + KERNEL_LINE + 'cpuidle_haltpoll.force=Y')
        return warn(f'cpuidle driver {driver or "none"}', remedy)
    limit = optional(host.root, HALTPOLL + 'ns')
    if limit == 0:
        return warn('haltpoll, but guest_halt_poll_ns is 0', 'let it poll',
                    write(200000, HALTPOLL + 'ns'))
    for name, value in (('grow', 2), ('grow_start', 50000)):
        # A vCPU begins with 0, and stays there
        if optional(host.root, HALTPOLL + name) == 0:
            return warn(f'haltpoll, but guest_halt_poll_{name} is 0: it does '
                        'not grow', 'let it grow',
                        write(value, HALTPOLL + name))
    return passed('haltpoll' + (f', {limit} ns' if limit else ''))


CHECKS = (
    ('halt-poll', 'KVM polls before an idle vCPU sleeps', halt_poll),
    ('workqueue', 'kworkers stay off the CPUs of VMs', workqueue),
    ('wfi-trap', 'Arm: idle vCPUs wait without leaving the guest', wfi_trap),
    ('vgic-v4', 'Arm: interrupts go to vCPUs directly', vgic_v4),
    ('pv-qspinlock', 'in a guest: waiting for a lock frees the CPU',
     pv_qspinlock),
    ('guest-haltpoll', 'in a guest: poll before the CPU is given away',
     guest_haltpoll),
)
