# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""IOThreads of a running QEMU: which there are, their counters and settings.

In qemu-system and in qemu-storage-daemon alike: query-stats names the
IOThreads, QOM knows their settings."""

import time

from .. import ToolError
from ..qmp import Refused

# The settings, with the values that QEMU starts with; '': that depends
DEFAULTS = {
    'poll-max-ns': 32768,
    'poll-grow': 0,
    'poll-shrink': 0,
    'poll-policy': '',
    'poll-weight': 3,
    'poll-latency-weight': 5,
    'poll-cpu-limit': 0,
    'aio-max-batch': 0,
    'thread-pool-min': 0,
    'thread-pool-max': 64,
}
NO_STATISTICS = ('this QEMU ({}) has no IOThread statistics; start the VM '
                 'with a binary of scripts/install, see docs/statistics.md')


def short(path):
    """An IOThread's id: the QOM path's last part."""
    return path.rpartition('/')[2]


class Sample:
    """The counters of all IOThreads at one moment, by QOM path."""

    def __init__(self, seconds, stats):
        self.seconds = seconds
        self.stats = stats


def take(monitor):
    """A sample; the time is that between question and answer."""
    begin = time.monotonic()
    try:
        results = monitor.cmd('query-stats', target='iothread',
                              providers=[{'provider': 'iothread'}])
    except Refused as error:
        raise ToolError(NO_STATISTICS.format(monitor.version)) from error
    seconds = (begin + time.monotonic()) / 2
    return Sample(seconds, {
        result['qom-path']:
            {stat['name']: stat['value'] for stat in result['stats']}
        for result in results if 'qom-path' in result})


def properties(monitor, path):
    """Which of the settings this binary's IOThread has."""
    try:
        listed = monitor.cmd('qom-list', path=path)
    except Refused:
        return []       # gone since it was listed
    names = {entry['name'] for entry in listed}
    return [name for name in DEFAULTS if name in names]


def get(monitor, path, name):
    """A setting's value, None if the IOThread has just gone."""
    try:
        return monitor.cmd('qom-get', path=path, property=name)
    except Refused:
        return None


def settings(monitor, path, names):
    return {name: get(monitor, path, name) for name in names}


def vm_name(monitor):
    """The VM's name, None where there is none."""
    try:
        return (monitor.cmd('query-name') or {}).get('name')
    except Refused:     # qemu-storage-daemon
        return None
