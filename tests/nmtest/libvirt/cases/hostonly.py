# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Settings of the guide that neither QEMU nor libvirt can make: those of the
host, and those inside a guest.  Each row names the line of scripts/host-check
that tells, and is tried on a made-up host: with the guide's value, without."""

from nmtools.hostcheck.main import FUNCTIONS

from ...fake.host import host
from .. import Unmet
from ..suite import CASES, Case, check

KVM = '/sys/module/kvm/parameters/'
WORKQUEUE = '/sys/devices/virtual/workqueue/cpumask'
CPU = '/sys/devices/system/cpu/'
THP = '/sys/kernel/mm/transparent_hugepage/'
POOL = '/sys/kernel/mm/hugepages/hugepages-2048kB/'
GROUPS = '/sys/kernel/iommu_groups/'
HALTPOLL = '/sys/module/haltpoll/parameters/guest_halt_poll_'
IDLE = {CPU + 'cpuidle/current_driver': 'haltpoll'}
OTHER_IDLE = {CPU + 'cpuidle/current_driver': 'acpi_idle'}
ENFORCE = '/sys/fs/selinux/enforce'
LOCALCA = '/var/lib/swtpm-localca'
SASL = '/etc/sasl2/libvirt.conf'
LIBVIRTD = '/etc/libvirt/libvirtd.conf'
LISTENS = {LIBVIRTD: 'listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "{}"',
           '/etc/sysconfig/libvirtd': 'LIBVIRTD_ARGS="--listen"'}
ARM, GUEST = {'arch': 'aarch64'}, {'guest': True}
HALT, SVIRT = 'Guest-Idle-Haltpoll', 'sVirt Protection'
BANDWIDTH, AUTH = 'Memory Bandwidth Monitoring', 'Libvirt Authentication'
WFI, TPM = 'WFI-no-trap', 'Trusted VM Boot'


def listens(auth):
    return {name: text.format(auth) for name, text in LISTENS.items()}


def haltpoll(name, value):
    return {**IDLE, HALTPOLL + 'ns': 200000, HALTPOLL + name: value}


# Name, section, setting, check, made-up host, files with it and what is said,
# files without it and what is said, a note
ROWS = (
    ('halt-poll-ns', 'halt-polling',
     f'echo 400000 > {KVM}halt_poll_ns', 'halt-poll', {},
     ({KVM + 'halt_poll_ns': 400000}, 'PASS'),
     ({KVM + 'halt_poll_ns': 0}, 'WARN'),
     'for one VM: -machine kvm-halt-poll-ns=400000, also while it runs'),
    ('kworker', 'kworker Isolation and Binding', f'echo ff > {WORKQUEUE}',
     'workqueue', {}, ({WORKQUEUE: '0f', CPU + 'isolated': '4-7'}, 'PASS'),
     ({WORKQUEUE: 'ff', CPU + 'isolated': '4-7'}, 'WARN'), ''),
    ('thp-never', 'HugePage Memory', f'echo never > {THP}enabled', 'thp', {},
     ({THP + 'enabled': 'always madvise [never]',
       POOL + 'nr_hugepages': 64}, 'PASS'),
     ({THP + 'enabled': 'always madvise [never]'}, 'WARN'),
     'right where there is a pool of huge pages'),
    ('mpam', BANDWIDTH, 'mpam=acpi', 'resctrl', ARM,
     ({'/proc/mounts': 'resctrl /sys/fs/resctrl resctrl rw 0 0',
       '/sys/fs/resctrl/info/L3/num_closids': 16}, 'PASS'), ({}, 'SKIP'),
     "on the host's command line"),
    ('pv-qspinlock', 'PV-qspinlock', 'arm_pvspin', 'pv-qspinlock',
     {**ARM, **GUEST}, ({'/proc/cmdline': 'arm_pvspin', '/recorded/dmesg':
                         'arm-pv: PV qspinlocks enabled'}, 'PASS'),
     ({}, 'WARN'), "on the guest's command line; openEuler on both sides"),
    ('pv-unhalt', 'PV-qspinlock', '-cpu ...,kvm-pv-unhalt=on (x86)',
     'pv-qspinlock', GUEST, ({'/recorded/dmesg':
                              'kvm-guest: PV spinlocks enabled'}, 'PASS'),
     ({'/recorded/dmesg': 'PV spinlocks disabled, no host support'}, 'WARN'),
     "KVM's default on x86"),
    ('haltpoll-force', HALT, 'cpuidle_haltpoll.force=Y (x86)',
     'guest-haltpoll', GUEST, (IDLE, 'PASS'), (OTHER_IDLE, 'WARN'),
     "on the guest's command line; hint-dedicated does it as well"),
    ('haltpoll-enable', HALT, 'cpuidle_haltpoll.force=Y haltpoll.enable=Y',
     'guest-haltpoll', {**ARM, **GUEST}, (IDLE, 'PASS'),
     (OTHER_IDLE, 'WARN'), "on an Arm guest's command line"),
    *((f'guest-halt-poll-{name.replace("_", "-")}', HALT,
       f'echo {value} > {HALTPOLL}{name}', 'guest-haltpoll', GUEST,
       (haltpoll(name, value), 'PASS'), (haltpoll(name, bad), result), '')
      for name, value, bad, result in (
          ('ns', 200000, 0, 'WARN'), ('shrink', 2, 0, 'PASS'),
          ('grow', 2, 0, 'WARN'), ('grow_start', 50000, 0, 'WARN'),
          ('allow_shrink', 'Y', 'N', 'PASS'))),
    ('vt-d', 'NVMe Drive Passthrough', 'VT-d and the IOMMU of the kernel',
     'iommu', {}, ({GROUPS + '0': None}, 'PASS'), ({}, 'WARN'), ''),
    ('interrupt-remapping', 'NVMe Drive Passthrough',
     'interrupt remapping of the kernel', 'irq-remapping', {},
     ({GROUPS + '0': None, '/sys/kernel/irq/25/chip_name': 'IR-PCI-MSI'},
      'PASS'), ({GROUPS + '0': None, '/sys/kernel/irq/25/chip_name':
                 'PCI-MSI'}, 'WARN'), ''),
    ('vgic-v4', WFI, 'kvm-arm.vgic_v4_enable=1', 'vgic-v4', ARM,
     ({'/proc/cmdline': 'kvm-arm.vgic_v4_enable=1', '/recorded/dmesg':
       'kvm [1]: GICv4.1 support enabled'}, 'PASS'), ({}, 'WARN'),
     "on the host's command line"),
    ('wfi-trap', WFI, f'echo N > {KVM}force_wfi_trap', 'wfi-trap', ARM,
     ({KVM + 'force_wfi_trap': 'N'}, 'PASS'),
     ({KVM + 'force_wfi_trap': 'Y'}, 'WARN'),
     "openEuler's; kvm-arm.wfi_trap_policy=notrap since Linux 6.11"),
    ('libvirtd-listen', AUTH, 'listen_tcp = 1, LIBVIRTD_ARGS="--listen"',
     'libvirt-auth', {}, (listens('sasl'), 'PASS'),
     (listens('none'), 'FAIL'), ''),
    ('sasldb', AUTH, 'sasldb_path: /etc/libvirt/passwd.db', 'sasl', {},
     ({SASL: 'mech_list: scram-sha-256\nsasldb_path: /etc/libvirt/passwd.db',
       '/etc/libvirt/passwd.db|600': ''}, 'PASS'),
     ({SASL: 'mech_list: scram-sha-256\nsasldb_path: /etc/libvirt/passwd.db',
       '/etc/libvirt/passwd.db|644': ''}, 'FAIL'), 'only root may read it'),
    ('selinux', SVIRT, 'selinux=1, SELINUX=enforcing', 'svirt', {},
     ({ENFORCE: 1}, 'SKIP'), ({ENFORCE: 0}, 'WARN'),
     'then each VM that runs has a line'),
    ('swtpm-localca', TPM, f'chmod -R 777 {LOCALCA}', 'swtpm-state', {},
     ({LOCALCA + '|750': None, LOCALCA + '/signkey.pem|640': 'x'}, 'PASS'),
     ({LOCALCA + '|777': None, LOCALCA + '/signkey.pem|777': 'x'}, 'FAIL'),
     'not needed, and lets all users make certificates: 750 of tss'),
)


def tried(name, options, files):
    """The worst result of a check on a made-up host."""
    with host(files, **options) as one:
        found = [result.status for result in one.run(name)]
    return max(found, key=('SKIP', 'PASS', 'WARN', 'FAIL').index)


def function_of(name, options, good, bad, note):
    def run(_env):
        for files, wanted in (good, bad):
            found = tried(name, options, files)
            check(found == wanted,
                  f'host-check {name} says {found}, not {wanted}: {files}')
        where = 'in the guest, ' if options.get('guest') else ''
        said = f'{good[1]}, else {bad[1]}' if good[1] != bad[1] else good[1]
        raise Unmet('guest only' if where else 'host only',
                    f'{where}host-check {name}: {said}'
                    + (f'; {note}' if note else ''))
    return run


for _name, _section, _snippet, _check, _options, _good, _bad, _note in ROWS:
    CASES.append(Case(_name, _section, _snippet, function_of(
        _check, _options, _good, _bad, _note)))


def vmtop(check_name, what):
    """The line of host-check that has vmtop's figures, which need a VM of
    KVM; it is there, and tested in tests/scripts/test-host-check-vm."""
    def run(_env):
        check(check_name in FUNCTIONS, f'host-check has no {check_name}')
        raise Unmet('host only', "openEuler's program; with upstream's kernel "
                    f'host-check --vm MONITOR {check_name}: {what}')
    return run


CASES.append(Case('vmtop-bandwidth', BANDWIDTH, 'vmtop -G', vmtop(
    'vm-bandwidth', 'MiB/s')))
CASES.append(Case('vmtop-wfi', WFI, 'vmtop, for WFI traps', vmtop(
    'vm-halt', 'WFI exits/s')))
