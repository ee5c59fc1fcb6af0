# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What tuned's profiles virtual-host and realtime-virtual-host set, looked at
one by one: somebody may have set it by other means, or not at all."""

import struct

from .cpus import format_list, parse_list
from .kvm import KVM, optional, set_aside
from .result import TRUE, count, passed, skipped, warn, write
from .sysroot import Unreadable, whole

CPU = '/sys/devices/system/cpu/'
POLICIES = CPU + 'cpufreq'
EPP = 'energy_performance_preference'
LATENCY = '/dev/cpu_dma_latency'
LONGEST_US = 10         # to leave an idle state, on a CPU of a VM
SWAPPINESS = '/proc/sys/vm/swappiness'
MOST_SWAPPINESS = 10
KSM = '/sys/kernel/mm/ksm/'
IRQS = '/proc/irq'
SHOWN = 4
BALANCING = '/proc/sys/kernel/numa_balancing'
MULTIHIT = CPU + 'vulnerabilities/itlb_multihit'
RATIO = KVM + 'nx_huge_pages_recovery_ratio'
AIO = '/proc/sys/fs/aio-'
LEAST_AIO = 1048576
KEEP = ', in /etc/sysctl.d to stay'


def sysctl(name, value):
    return f'sysctl -w {name}={value}'


def no_host(host):
    """Settings of a guest are its own business, but for one with VMs."""
    return host.guest and not host.vms


def vm_cpus(host):
    """CPUs that are kept for VMs: isolated, or of a vCPU bound to it alone."""
    isolated, pinned = set_aside(host)
    return isolated | pinned


# --- frequency and idle states ----------------------------------------------

def policy_files(host, name):
    """{value: [policy]} of a file that each policy of cpufreq may have."""
    found = {}
    for policy in host.root.names(POLICIES):
        if policy.startswith('policy'):
            try:
                value = host.root.text(f'{POLICIES}/{policy}/{name}')
            except Unreadable as reason:
                if reason.missing:
                    continue
                raise
            found.setdefault(value, []).append(policy)
    return found


def set_policies(name, value):
    return (f'for f in {POLICIES}/policy*/{name}; do echo {value} > "$f"; '
            'done')


def cpu_governor(host):
    """With EPP 'performance' the governor powersave of intel_pstate and
    amd-pstate is a name only: the hardware decides, for speed."""
    if no_host(host):
        return skipped('inside a VM')
    governors = policy_files(host, 'scaling_governor')
    if not governors:
        return skipped('no cpufreq: firmware or hypervisor decide')
    hints = policy_files(host, EPP)
    where = ', '.join(sorted(governors))
    value = where + (f'; {EPP} ' + ', '.join(sorted(hints)) if hints else '')
    if set(hints) == {'performance'} or (
            set(governors) == {'performance'} and not hints):
        return passed(value)
    fix = [] if set(governors) == {'performance'} else [
        set_policies('scaling_governor', 'performance')]
    # With the governor performance the kernel sets it and lets nobody else
    if hints and not fix:
        fix = [set_policies(EPP, 'performance')]
    return warn(value, 'performance for both: tuned-adm profile virtual-host',
                *fix)


def held_latency(host):
    """What somebody, as tuned's force_latency, holds it at; None unknown."""
    try:
        return struct.unpack('<i', host.root.data(LATENCY, exact=4))[0]
    except (Unreadable, struct.error):
        return None


def deepest(host, cpu):
    """(microseconds, name) of the deepest idle state that CPU may enter."""
    found = (0, '')
    folder = f'{CPU}cpu{cpu}/cpuidle'
    for state in host.root.names(folder):
        path = f'{folder}/{state}/'
        if (state.startswith('state')
                and host.root.text(path + 'disable') == '0'):
            found = max(found, (host.root.number(path + 'latency'),
                                host.root.text(path + 'name')))
    try:
        limit = host.root.text(f'{CPU}cpu{cpu}/power/pm_qos_resume_latency_us')
    except Unreadable:
        return found
    # '0' is no limit, 'n/a' allows none
    if limit == 'n/a':
        return (0, 'none')
    most = whole(limit)
    return found if not most or found[0] <= most else (most, f'{most} us')


def c_states(host):
    if no_host(host):
        return skipped('inside a VM')
    cpus = vm_cpus(host)
    if not cpus:
        return skipped('no CPU is isolated or bound to a vCPU')
    held = held_latency(host)
    if held is not None and held <= LONGEST_US:
        return passed(f'latency held at {held} us')
    slow = {}
    for cpu in sorted(cpus):
        if not host.root.present(f'{CPU}cpu{cpu}/cpuidle'):
            return skipped('no cpuidle: CPUs do not sleep deeply, or the '
                           'hypervisor decides')
        latency, name = deepest(host, cpu)
        if latency > LONGEST_US:
            slow.setdefault((latency, name), set()).add(cpu)
    if not slow:
        return passed(f'CPUs {format_list(cpus)}: at most {LONGEST_US} us')
    latency, name = max(slow)
    all_slow = set().union(*slow.values())
    return warn(f'CPUs {format_list(all_slow)} of VMs sleep as deep as {name}: '
                f'{latency} us to wake',
                'tuned-adm profile realtime-virtual-host, or limit them',
                *(write(LONGEST_US,
                        f'{CPU}cpu{cpu}/power/pm_qos_resume_latency_us')
                  for cpu in sorted(all_slow)))


# --- memory -----------------------------------------------------------------

def swappiness(host):
    if no_host(host):
        return skipped('inside a VM')
    value = host.root.number(SWAPPINESS)
    try:
        swaps = host.root.text('/proc/swaps').split('\n')[1:]
    except Unreadable:
        swaps = None
    if swaps == []:
        return passed(f'{value}; there is no swap')
    if value > MOST_SWAPPINESS:
        return warn(f'{value}: memory of VMs is swapped out for the page cache',
                    f'{MOST_SWAPPINESS} or less' + KEEP,
                    sysctl('vm.swappiness', MOST_SWAPPINESS))
    return passed(str(value))


def ksm(host):
    if no_host(host):
        return skipped('inside a VM')
    run = optional(host.root, KSM + 'run')
    if run is None:
        return skipped('this kernel has no KSM')
    shared = optional(host.root, KSM + 'pages_shared') or 0
    if run == 1:
        return warn(f'on, {count(shared, "page")} shared: it takes CPU, splits '
                    'huge pages, and writes fault',
                    'off, unless VMs are packed densely; ksmtuned turns it on',
                    'systemctl disable --now ksm ksmtuned || true',
                    write(2, KSM + 'run'))
    if shared:
        return warn(f'off, but {count(shared, "page")} are still shared',
                    'give each VM its own again', write(2, KSM + 'run'))
    return passed('off')


def numa_balancing(host):
    if no_host(host):
        return skipped('inside a VM')
    value = optional(host.root, BALANCING)
    if value is None:
        return skipped('this kernel has no automatic NUMA balancing')
    if len(host.nodes) < 2:
        return skipped('one NUMA node')
    if value == 0:
        return passed('off')
    if not set_aside(host)[1]:
        return passed('on; no vCPU is bound to a CPU')
    return warn('on: it unmaps pages of VMs whose place is settled',
                'off, where vCPUs are bound' + KEEP,
                sysctl('kernel.numa_balancing', 0))


def nx_huge_pages(host):
    path = KVM + 'nx_huge_pages'
    if not host.root.present(path):
        return skipped('not an x86 host with KVM')
    on = host.root.text(path) in TRUE
    try:
        affected = host.root.text(MULTIHIT) != 'Not affected'
    except Unreadable:
        affected = True
    if on and not affected:
        return warn('on, though this CPU is not affected: huge pages are '
                    'split', 'let the kernel decide', write('auto', path))
    if not on and affected:
        return warn('off, but the CPU is affected by iTLB multihit: a guest '
                    'can stop the host', 'let the kernel decide',
                    write('auto', path))
    if on and optional(host.root, RATIO):
        return warn('on, as the CPU needs it; once in a while it joins pages '
                    'again, which stops vCPUs',
                    'do not join them where latency counts', write(0, RATIO))
    return passed('on, as the CPU needs it' if on else 'off, not needed')


# --- interrupts, AIO --------------------------------------------------------

def irq_cpus(host, irq):
    """Where an interrupt goes: as the kernel chose, else as it may."""
    for name in ('effective_affinity_list', 'smp_affinity_list'):
        path = f'{IRQS}/{irq}/{name}'
        try:
            found = parse_list(host.root.text(path), path)
        except Unreadable:
            continue
        if found:
            return found
    return set()


def handlers(host, irq):
    """Names of those who take it: folders beside the kernel's files."""
    return [name for name in host.root.names(f'{IRQS}/{irq}')
            if host.root.present(f'{IRQS}/{irq}/{name}')
            and name not in ('node', 'spurious', 'affinity_hint')
            and 'affinity' not in name]


def irq_affinity(host):
    """Interrupts of passthrough devices belong there."""
    if no_host(host):
        return skipped('inside a VM')
    cpus = vm_cpus(host)
    if not cpus:
        return skipped('no CPU is isolated or bound to a vCPU')
    numbers = [irq for irq in host.root.names(IRQS) if whole(irq) is not None]
    if not numbers:
        return skipped(f'{IRQS}: nothing there')
    there = {}
    for irq in numbers:
        names = handlers(host, irq)
        shared = irq_cpus(host, irq) & cpus
        if shared and names and not any('vfio' in name for name in names):
            there[irq] = (names[0], shared)
    left = host.online - cpus
    if not there:
        return passed(f'none of the host on CPUs {format_list(cpus)}')
    texts = [f'{irq} ({name})' for irq, (name, _) in there.items()]
    more = f' and {len(texts) - SHOWN} more' if len(texts) > SHOWN else ''
    hit = set().union(*(shared for _, shared in there.values()))
    return warn(f'IRQ {", ".join(texts[:SHOWN])}{more} on CPUs '
                f'{format_list(hit)} of VMs',
                'move them, and tell irqbalance (IRQBALANCE_BANNED_CPULIST); '
                "a driver's own queues: isolcpus=managed_irq,LIST",
                *(f'{write(format_list(left), f"{IRQS}/{irq}/smp_affinity_list")}'
                  ' || true' for irq in there if left),
                data={irq: format_list(shared)
                      for irq, (_, shared) in there.items()})


def aio_max_nr(host):
    if no_host(host):
        return skipped('inside a VM')
    most = host.root.number(AIO + 'max-nr')
    used = optional(host.root, AIO + 'nr') or 0
    value = f'{used} of {most} in use'
    if most < LEAST_AIO:
        return warn(value + ': disks with io=native fail to start beyond it',
                    f'{LEAST_AIO}' + KEEP, sysctl('fs.aio-max-nr', LEAST_AIO))
    if 2 * used > most:
        return warn(value, 'raise it before it is reached' + KEEP,
                    sysctl('fs.aio-max-nr', 2 * most))
    return passed(value)


CHECKS = (
    ('cpu-governor', 'CPUs run at full speed (governor, EPP)', cpu_governor),
    ('c-states', 'CPUs of VMs do not sleep deeply', c_states),
    ('swappiness', 'memory of VMs is not swapped out lightly', swappiness),
    ('ksm', 'pages are not merged', ksm),
    ('irq-affinity', "the host's interrupts stay off the CPUs of VMs",
     irq_affinity),
    ('numa-balancing', 'pages of bound VMs are left where they are',
     numa_balancing),
    ('nx-huge-pages', 'x86: huge pages that code is run from',
     nx_huge_pages),
    ('aio-max-nr', 'requests of io=native that the host takes', aio_max_nr),
)
