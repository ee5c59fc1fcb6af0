# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Huge pages: the reserved pools, and transparent ones."""

from .cpus import format_list
from .result import passed, skipped, warn, write
from .sysroot import Unreadable

ALL_POOLS = '/sys/kernel/mm/hugepages'
POOLS = ALL_POOLS + '/hugepages-{}kB/'
NODE = '/sys/devices/system/node/node{}/hugepages/hugepages-{}kB/'
THP = '/sys/kernel/mm/transparent_hugepage/'


def any_pool(host):
    """Is there a page in any pool that can be read?  Arm has other sizes than
    those below: 512 MiB with base pages of 64 KiB."""
    for name in host.root.names(ALL_POOLS):
        try:
            if host.root.number(f'{ALL_POOLS}/{name}/nr_hugepages'):
                return True
        except Unreadable:
            continue
    return False


def thp_mode(host):
    """(mode, file that says so).  Since Linux 6.8 each size has a mode, by
    default 'inherit'."""
    path = THP + 'enabled'
    mode = host.root.choice(path)
    try:
        kib = host.root.number(THP + 'hpage_pmd_size') // 1024
        own = host.root.choice(THP + f'hugepages-{kib}kB/enabled')
    except Unreadable:
        return mode, path
    if own == 'inherit':
        return mode, path
    return own, THP + f'hugepages-{kib}kB/enabled'


def transparent(host):
    """The mode, None if there is none or it cannot be read."""
    try:
        return thp_mode(host)[0]
    except Unreadable:
        return None


def by_node(host, kib):
    """(pages, free) by node, of the nodes with memory."""
    found = {}
    for node in host.nodes:
        path = NODE.format(node, kib)
        try:
            found[node] = (host.root.number(path + 'nr_hugepages'),
                           host.root.number(path + 'free_hugepages'))
        except Unreadable as reason:
            if not reason.missing:
                raise
    return found


def no_pool(host, kib):
    """An empty pool matters only if there are no huge pages at all."""
    if any_pool(host):
        return skipped('no pool; there is one of another size')
    if transparent(host) in ('always', 'madvise'):
        return skipped('no pool; VMs get transparent huge pages')
    path = POOLS.format(kib) + 'nr_hugepages'
    return warn('no pool, and no transparent huge pages',
                "reserve as many as the VMs' memory takes"
                + (', at boot: hugepagesz=1G hugepages=N' if kib > 2048
                   else ''),
                f'echo "${{PAGES:?how many}}" > {path}')


def pool(host, kib):
    path = POOLS.format(kib)
    if not host.root.present(path.rstrip('/')):
        return skipped(f'this kernel has no pages of {kib} KiB')
    total = host.root.number(path + 'nr_hugepages')
    if total == 0:
        return no_pool(host, kib)
    free = host.root.number(path + 'free_hugepages')
    promised = host.root.number(path + 'resv_hugepages')
    nodes = by_node(host, kib)
    value = f'{free - promised} of {total} free'
    data = {'total': total, 'free': free, 'reserved': promised,
            'nodes': {str(node): {'total': pages, 'free': left}
                      for node, (pages, left) in nodes.items()}}
    if len(nodes) > 1:
        value += ', ' + ', '.join(f'node {node}: {left} of {pages}'
                                  for node, (pages, left) in nodes.items())
    empty = [node for node, (pages, _) in nodes.items() if not pages]
    if len(nodes) > 1 and empty:
        return warn(value, f'node {format_list(empty)} has none: VMs bound to '
                    'it do not start', *(
                        f'echo "${{PAGES:?how many}}" > '
                        f'{NODE.format(node, kib)}nr_hugepages'
                        for node in empty), data=data)
    return passed(value, data=data)


def thp(host):
    """madvise is enough: QEMU asks for them for all guest memory."""
    if not host.root.present(THP + 'enabled'):
        return skipped('this kernel has no transparent huge pages')
    mode, path = thp_mode(host)
    if mode == 'never':
        if any_pool(host):
            return passed('never; there is a pool of huge pages')
        return warn('never', 'turn them on, or reserve a pool',
                    write('madvise', path))
    if mode not in ('always', 'madvise'):
        raise Unreadable(path, f"no such mode as '{mode}'")
    try:
        shared = host.root.choice(THP + 'shmem_enabled')
    except Unreadable:
        return passed(mode)
    return passed(f'{mode}, for shared memory (share=on, memfd): {shared}')


def defrag(host):
    if transparent(host) in (None, 'never'):
        return skipped('no transparent huge pages')
    mode = host.root.choice(THP + 'defrag')
    if mode == 'never':
        return warn('never: no page is made free for a huge one',
                    'let those who ask for them wait for one',
                    write('madvise', THP + 'defrag'))
    return passed(mode)


def khugepaged(host):
    if transparent(host) in (None, 'never'):
        return skipped('no transparent huge pages')
    path = THP + 'khugepaged/'
    pages = host.root.number(path + 'pages_to_scan')
    pause = host.root.number(path + 'scan_sleep_millisecs')
    if host.root.number(path + 'defrag') == 0:
        return warn('defrag is 0: it joins pages only where huge ones are '
                    'free', 'let it make room', write(1, path + 'defrag'))
    return passed(f'{pages} pages each {pause} ms')


CHECKS = (
    ('hugepages-2m', 'pool of 2 MiB pages, by node',
     lambda host: pool(host, 2048)),
    ('hugepages-1g', 'pool of 1 GiB pages, by node',
     lambda host: pool(host, 1048576)),
    ('thp', 'transparent huge pages', thp),
    ('thp-defrag', 'is room made for them?', defrag),
    ('khugepaged', 'are small pages joined later?', khugepaged),
)
