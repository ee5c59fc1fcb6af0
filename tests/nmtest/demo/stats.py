# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Figures of an IOThread, over a window of time."""

import time

from nmtools.qmp import Refused

from ..machine import IOTHREAD

PROVIDER = 'iothread'
PARAMETERS = ('poll-max-ns', 'poll-grow', 'poll-shrink', 'aio-max-batch')
POLL_CURRENT = 'poll-current-ns'


def iothread_stats(machine):
    """query-stats of the IOThread, or None when QEMU has no such thing."""
    try:
        results = machine.cmd('query-stats', target='iothread',
                              providers=[{'provider': PROVIDER}])
    except Refused:
        return None
    for result in results:
        if result.get('qom-path') == IOTHREAD:
            return {stat['name']: stat['value'] for stat in result['stats']}
    return None


def thread_id(machine):
    for entry in machine.cmd('query-iothreads'):
        if entry['id'] == 'iothread0':
            return entry['thread-id']
    return None


def host_cpu_ns(machine, tid):
    """CPU time of a thread of QEMU as the host's kernel counts it."""
    path = f'/proc/{machine.process.pid}/task/{tid}/'
    try:
        with open(path + 'schedstat', encoding='ascii') as file:
            return int(file.read().split()[0])
    except (OSError, IndexError, ValueError):
        return None


def block_requests(machine):
    """Requests that the block layer has completed on the disk."""
    for entry in machine.cmd('query-blockstats'):
        if 'blk0' in entry.get('qdev', '').split('/'):
            stats = entry['stats']
            return stats['rd_operations'] + stats['wr_operations']
    return None


def settings(machine):
    """The parameters as qom-get and query-iothreads tell them; the latter
    with the present polling time, where QEMU tells that."""
    qom = {name: machine.cmd('qom-get', path=IOTHREAD, property=name)
           for name in PARAMETERS}
    listed = {}
    for entry in machine.cmd('query-iothreads'):
        if entry['id'] == 'iothread0':
            listed = {name: entry[name] for name in PARAMETERS}
            if POLL_CURRENT in entry:
                listed[POLL_CURRENT] = entry[POLL_CURRENT]
    return qom, listed


class Sample:
    """All counters at one moment."""

    def __init__(self, machine, tid):
        self.time = time.monotonic()
        self.stats = iothread_stats(machine)
        self.requests = block_requests(machine)
        self.cpu = host_cpu_ns(machine, tid)


def _delta(before, after, name):
    if before.stats is None or after.stats is None:
        return None
    if name not in before.stats or name not in after.stats:
        return None
    return after.stats[name] - before.stats[name]


def window(before, after):
    """What happened between two samples; None where nothing counts it."""
    seconds = after.time - before.time
    done = None
    if before.requests is not None and after.requests is not None:
        done = after.requests - before.requests
    submits = _delta(before, after, 'submits')
    requests = _delta(before, after, 'requests')
    cpu = _delta(before, after, 'cpu-time')
    host_cpu = None
    if before.cpu is not None and after.cpu is not None:
        host_cpu = after.cpu - before.cpu
    used = cpu if cpu is not None else host_cpu
    return {
        'seconds': round(seconds, 3),
        'requests': done,
        'iops': None if done is None else round(done / seconds),
        'poll-hits': _delta(before, after, 'poll-hits'),
        'poll-misses': _delta(before, after, 'poll-misses'),
        'blocks': _delta(before, after, 'blocks'),
        'batch': round(requests / submits, 2) if submits else None,
        'cpu-percent': None if used is None
                       else round(used / seconds / 1e7, 1),
        'host-cpu-percent': None if host_cpu is None
                            else round(host_cpu / seconds / 1e7, 1),
    }
