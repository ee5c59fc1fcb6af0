# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What a Linux guest sees of the CPU topology that it was given."""

import os
import subprocess
import tempfile

from nmtools import ToolError
from nmtools.running import die_with_parent

from ..initramfs import make_initramfs, text_of
from ..machine import kernel_options, machine_options
from ..testing import patched_qemu

DEADLINE = 900          # 32 CPUs under TCG take their time
INTEL = 'Skylake-Server-v1'


def boot(arch, machine, options, cpu=None):
    """A guest from its start to its power off: what it printed."""
    with tempfile.TemporaryDirectory(prefix='nm-topology.') as folder:
        kernel = kernel_options(arch, 'rdinit=/topology-init')
        kernel[kernel.index('-initrd') + 1] = make_initramfs(
            arch, folder, 'topology-init')
        command = [patched_qemu(arch), '-nodefaults', '-no-user-config',
                   '-display', 'none', '-no-reboot', '-serial',
                   'file:console', *machine_options(arch, 'tcg', machine, cpu),
                   *kernel, *options]
        with open(os.path.join(folder, 'stderr'), 'wb') as log:
            try:
                done = subprocess.run(command, cwd=folder, stderr=log,
                                      stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, check=False,
                                      timeout=DEADLINE,
                                      preexec_fn=die_with_parent)
            except subprocess.TimeoutExpired:
                raise ToolError(
                    f'the guest did not end within {DEADLINE} seconds',
                    text_of(folder, 'console')[-2000:]) from None
        if done.returncode:
            raise ToolError(f'QEMU ended with status {done.returncode}: '
                            + text_of(folder, 'stderr').strip())
        return text_of(folder, 'console')


def fields(words):
    return dict(word.split('=', 1) for word in words if '=' in word)


def seen(console):
    """{CPU: {field: value, 'caches': {'l2': {field: value}}}}, and nodes."""
    cpus, nodes = {}, {}
    kinds = {'Data': 'd', 'Instruction': 'i', 'Unified': ''}
    for line in console.split('\n'):
        if 'nearmetal-guest: ' not in line:
            continue
        words = line.split('nearmetal-guest: ')[-1].split()
        if words[0] == 'node':
            nodes[int(words[1])] = fields(words).get('cpulist', '')
        elif words[0].isdigit() and words[1] == 'cache':
            cache = fields(words)
            name = f"l{cache['level']}{kinds[cache['type']]}"
            cpus[int(words[0])]['caches'][name] = cache
        elif words[0].isdigit():
            cpus[int(words[0])] = {**fields(words), 'caches': {}}
    return cpus, nodes


def span(cpu, size, cpus):
    """'4-7': CPUs of the group of SIZE that CPU is in."""
    first = cpu // size * size
    last = min(first + size, cpus) - 1
    return str(first) if first == last else f'{first}-{last}'


def smp_cache(text):
    """',smp-cache.0.cache=l2,...' for 'l2=cluster,size=1M l3=socket'."""
    options = ''
    for number, element in enumerate(text.split()):
        first, *rest = element.split(',')
        cache, level = first.split('=')
        for word in (f'cache={cache}', f'topology={level}', *rest):
            options += f',smp-cache.{number}.{word}'
    return options


def two_nodes():
    options = ['-m', '512']
    for node in range(2):
        options += ['-object', f'memory-backend-ram,id=m{node},size=256M',
                    '-numa', f'node,memdev=m{node}']
    return options


class Expect:
    """Numbers of CPUs in each container and of those that share each cache."""

    def __init__(self, cpus, **spans):
        self.cpus = cpus
        self.spans = spans

    def differences(self, cpus, names):
        """What the guest sees otherwise; NAMES: {span: how to find it}."""
        found = []
        if sorted(cpus) != list(range(self.cpus)):
            return [f'CPUs {sorted(cpus)}']
        for cpu in range(self.cpus):
            extra = set(cpus[cpu]['caches']) - {'l1d', 'l1i', 'l2', 'l3'}
            if extra:
                found.append(f'CPU {cpu}: also {", ".join(sorted(extra))}')
        for name, size in self.spans.items():
            for cpu in range(self.cpus):
                have = names[name](cpus[cpu])
                want = span(cpu, size, self.cpus) if size else None
                if have != want:
                    found.append(f'CPU {cpu}: {name}: {have} instead of '
                                 f'{want}')
        return found


def cache_list(kind):
    return lambda cpu: cpu['caches'].get(kind, {}).get('shared_cpu_list')


NAMES = {
    'socket': lambda cpu: cpu.get('package_cpus_list'),
    'cluster': lambda cpu: cpu.get('cluster_cpus_list'),
    'core': lambda cpu: cpu.get('thread_siblings_list'),
    'l1d': cache_list('l1d'), 'l1i': cache_list('l1i'),
    'l2': cache_list('l2'), 'l3': cache_list('l3'),
}


def check(checks, title, expect, console):
    """Compare; Returns: what the guest said."""
    cpus, nodes = seen(console)
    found = expect.differences(cpus, NAMES)
    present = f'present {span(0, expect.cpus, expect.cpus)} '
    if present not in console:
        found.append(f'not "{present.strip()}"')
    checks.check(not found, f'{title}: the guest sees what was asked for',
                 '; '.join(found[:4]) or console[-500:])
    return cpus, nodes
