# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What a running VM says of itself (--vm): settings that took effect, how its
vCPUs wait, the memory bandwidth it takes."""

import json
import time

from ..qmp import Refused
from .kvm import KVM
from .resctrl import figures, monitor_group, mounted, rates, schemata
from .result import count, passed, skipped, warn
from .sysroot import Unreadable

NO_VM = 'give the VM: --vm QMP-SOCKET'
HALT = ('halt_exits', 'halt_attempted_poll', 'halt_successful_poll',
        'halt_poll_invalid', 'halt_wakeup', 'halt_poll_success_ns',
        'halt_poll_fail_ns', 'wfi_exit_stat', 'wfe_exit_stat', 'exits')
MIB = 1 << 20


# --- query-tuning -----------------------------------------------------------

def words(value):
    """A value of QMP as people write it."""
    if isinstance(value, bool):
        return 'on' if value else 'off'
    if isinstance(value, list):
        return ','.join(words(one) for one in value) or 'none'
    return value if isinstance(value, str) else json.dumps(value)


def judge(item):
    """A line for one entry; what was not asked for is no failure."""
    name = item.get('setting', '?')
    effective = words(item['effective']) if 'effective' in item else ''
    requested = words(item['requested']) if 'requested' in item else ''
    reason = words(item['reason']) if 'reason' in item else ''
    subject = f"{item.get('area', '?')} {item.get('object', '?')}"
    status = item.get('status')
    if status == 'ok':
        result = passed(f'{name}: {effective or requested}')
    elif status == 'differs':
        result = warn(f'{name}: {effective or "unknown"}, asked for '
                      f'{requested or "nothing"}',
                      reason or 'set it again, or restart the VM')
    elif status == 'unset':
        result = skipped(f'{name}: not asked for'
                         + (f', {effective}' if effective else ''))
    elif status == 'unavailable' and requested:
        result = warn(f'{name}: asked for {requested}, cannot be told',
                      reason or 'ask a QEMU and a host that have it')
    else:
        result = skipped(f'{name}: {reason or status or "no status"}')
    result.subject, result.data = subject, dict(item)
    return result


def tuning(host):
    if not host.vm:
        return skipped(NO_VM)
    try:
        items = host.vm.cmd('query-tuning')
    except Refused as error:
        if (error.error_class == 'CommandNotFound'
                or 'has not been found' in error.desc):
            return skipped('this QEMU has no query-tuning')
        return warn(str(error), 'look at the log of QEMU')
    if not isinstance(items, list) or not all(isinstance(item, dict)
                                              for item in items):
        return skipped('query-tuning: the answer is no list of settings')
    return [judge(item) for item in items] or skipped('no settings to tell of')


# --- how vCPUs wait ---------------------------------------------------------

def counters(vm):
    """(sums over all vCPUs, their number)."""
    results = vm.cmd('query-stats', target='vcpu',
                     providers=[{'provider': 'kvm'}])
    found = {}
    for result in results:
        for one in result['stats']:
            if one['name'] in HALT and isinstance(one.get('value'), int):
                found[one['name']] = found.get(one['name'], 0) + one['value']
    return found, len(results)


def no_traps(host):
    """Was the host told to let guests wait by themselves?"""
    try:
        if host.root.word(KVM + 'force_wfi_trap', ('Y', 'N')) == 'N':
            return True
    except Unreadable:
        pass
    try:
        return host.parameters.get('kvm_arm.wfi_trap_policy') == 'notrap'
    except Unreadable:
        return False


def halt_words(rate):
    """Counters in a second, in words."""
    parts = []
    for name, text in (('halt_exits', 'halts'), ('wfi_exit_stat', 'WFI exits'),
                       ('wfe_exit_stat', 'WFE exits')):
        if name in rate:
            parts.append(f'{rate[name]:.0f} {text}/s')
    polls = rate.get('halt_attempted_poll')
    if polls is not None:
        parts.append(f'{polls:.0f} polls/s')
    if polls:
        parts.append(f"{100 * rate.get('halt_successful_poll', 0) / polls:.0f}"
                     ' % in time')
    return ', '.join(parts)


def halt(host):
    if not host.vm:
        return skipped(NO_VM)
    try:
        if not host.vm.cmd('query-kvm').get('enabled'):
            return skipped('the VM runs on TCG, not on KVM')
        before, _ = counters(host.vm)
        start = time.monotonic()
        host.wait(host.seconds)
        after, vcpus = counters(host.vm)
        seconds = time.monotonic() - start
    except Refused as error:
        return skipped(str(error))
    except (KeyError, TypeError, AttributeError):
        return skipped('query-stats: the answer has another form')
    if not after:
        return skipped('KVM tells no halt counters; since Linux 5.14 it can')
    rate = {name: max(value - before.get(name, 0), 0) / seconds
            for name, value in after.items()}
    value = f"{count(vcpus, 'vCPU')}: {halt_words(rate)}"
    data = {'vcpus': vcpus, 'seconds': seconds, 'total': after,
            'per-second': rate}
    if rate.get('wfi_exit_stat') and no_traps(host):
        return warn(value, 'the host is told not to trap WFI: is GICv4.1 in '
                    'use, and was the VM started since?', data=data)
    return passed(value, data=data)


# --- its bandwidth ----------------------------------------------------------

def threads_of(vm):
    """vCPUs; all threads of a VM in libvirt's groups are vCPUs."""
    return {cpu['thread-id'] for cpu in vm.cmd('query-cpus-fast')}


def show_rates(found):
    parts = []
    for (domain, event), value in found.items():
        name = f'{domain.removeprefix("mon_")} {event.removesuffix("_bytes")}'
        unit = 'MiB/s' if event.startswith('mbm_') else 'MiB'
        parts.append(f'{name} unknown' if value is None
                     else f'{name} {value / MIB:.1f} {unit}')
    return ', '.join(parts)


def bandwidth(host):
    if not host.vm:
        return skipped(NO_VM)
    mount = mounted(host)
    if not mount:
        return skipped('resctrl is not mounted')
    try:
        threads = threads_of(host.vm)
    except (KeyError, TypeError, Refused):
        return skipped('query-cpus-fast tells no threads')
    group, inside = monitor_group(host, mount[0], threads)
    if not inside:
        return skipped('no group has its threads; does QEMU run on this host?')
    name = group[len(mount[0]) + 1:]
    if not name:
        return skipped('in the default group, whose figures are those of '
                       'the host', remedy='for a group of its own: '
                       '<cachetune>, <memorytune>')
    before = figures(host, group)
    start = time.monotonic()
    host.wait(host.seconds)
    after = figures(host, group)
    found = rates(before, after, time.monotonic() - start)
    if not found:
        return skipped(f'{name}: the hardware has no monitors')
    control = mount[0] + '/' + name.split('/')[0]
    return passed(f'{name}: {show_rates(found)}', data={
        'group': name, 'threads': inside, 'schemata': limits(host, control),
        'figures': {f'{domain}/{event}': value
                    for (domain, event), value in found.items()}})


def limits(host, group):
    try:
        return schemata(host, group)
    except Unreadable:
        return None


CHECKS = (
    ('vm-tuning', 'with --vm: settings that took effect', tuning),
    ('vm-halt', 'with --vm: how often vCPUs halt and poll', halt),
    ('vm-bandwidth', 'with --vm: cache and memory bandwidth', bandwidth),
)
