# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What a guest knows of its CPUs: from a copy of /sys/devices/system/cpu, or
from what lscpu -J prints there.

Both become a dictionary: 'socket', 'die', 'cluster', 'core', 'node' and caches
'l1d', 'l1i', 'l1', 'l2', 'l3', each a set of groups of CPUs (frozensets), and
'sizes' of the caches in bytes; of sysfs also 'ids', {CPU: IDs, wide to narrow}.
What the guest does not tell is not there."""

import json
import os
import re

from .. import ToolError

LISTS = {'socket': ('package_cpus_list', 'core_siblings_list'),
         'die': ('die_cpus_list',),
         'cluster': ('cluster_cpus_list',),
         'core': ('thread_siblings_list', 'core_cpus_list')}
# From wide to narrow; CPUs of a package are in the order of these
IDS = ('physical_package_id', 'die_id', 'cluster_id', 'core_id')
KINDS = {'Data': 'd', 'Instruction': 'i', 'Unified': ''}
UNITS = {'': 1, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}


def cpu_list(text):
    """'0-3,8' as a frozenset; empty if it is no such list."""
    cpus = set()
    for part in text.strip().split(','):
        match = re.fullmatch(r'(\d+)(?:-(\d+))?', part)
        if match:
            first = int(match[1])
            cpus.update(range(first, int(match[2] or first) + 1))
    return frozenset(cpus)


def size_of(text):
    """Bytes of '32K' or of '4 MiB'; None if it is no size."""
    match = re.match(r'([\d.]+)\s*([KMG]?)', text.strip())
    return int(float(match[1]) * UNITS[match[2]]) if match else None


def read(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            # tar pads files that are shorter than their size says
            return file.read().strip('\0 \t\n')
    except OSError:
        return ''


def add(seen, name, group):
    if group:
        seen.setdefault(name, set()).add(group)


def _sysfs_caches(folder, seen):
    for index in sorted(os.listdir(folder)):
        path = os.path.join(folder, index)
        kind = KINDS.get(read(os.path.join(path, 'type')))
        level = read(os.path.join(path, 'level'))
        if not index.startswith('index') or kind is None or not level:
            continue
        name = f'l{level}{kind}'
        add(seen, name, cpu_list(read(os.path.join(path, 'shared_cpu_list'))))
        size = size_of(read(os.path.join(path, 'size')))
        if size:
            seen['sizes'].setdefault(name, size)


def _sysfs_ids(folder):
    """The IDs of a CPU; None if one of the package or core is not told."""
    texts = [read(os.path.join(folder, name)) for name in IDS]
    ids = [int(text) if re.fullmatch(r'-?\d+', text) else -1
           for text in texts]
    return None if -1 in (ids[0], ids[3]) else tuple(ids)


def from_sysfs(folder):
    seen = {'sizes': {}}
    names = [name for name in os.listdir(folder)
             if re.fullmatch(r'cpu\d+', name)]
    if not names:
        raise ToolError(f'{folder} has no cpu0; give a copy of the guest\'s '
                        '/sys/devices/system/cpu')
    for name in names:
        path = os.path.join(folder, name)
        for what, files in LISTS.items():
            texts = [read(os.path.join(path, 'topology', file))
                     for file in files]
            add(seen, what, cpu_list(next(filter(None, texts), '')))
        ids = _sysfs_ids(os.path.join(path, 'topology'))
        if ids:
            seen.setdefault('ids', {})[int(name[3:])] = ids
        if os.path.isdir(os.path.join(path, 'cache')):
            _sysfs_caches(os.path.join(path, 'cache'), seen)
        for entry in os.listdir(path):
            match = re.fullmatch(r'node(\d+)', entry)
            if match:
                seen.setdefault('nodes', {}).setdefault(
                    int(match[1]), set()).add(int(name[3:]))
    for group in seen.pop('nodes', {}).values():
        add(seen, 'node', frozenset(group))
    if 'core' not in seen and 'socket' not in seen:
        raise ToolError(f'{folder} tells of no cores; its files are not whole: '
                        'copy it with cp -r')
    return seen


def _groups(cpus, key):
    """Groups of CPUs with the same KEY(row)."""
    found = {}
    for row in cpus:
        value = key(row)
        if value not in (None, '', '-'):
            found.setdefault(value, set()).add(int(row['cpu']))
    return {frozenset(group) for group in found.values()}


def _from_table(cpus):
    """lscpu -e -J: a row for each CPU; caches are in one column."""
    seen = {'sizes': {}}
    for what in ('socket', 'node'):
        seen[what] = _groups(cpus, lambda row, w=what: row.get(w))
    seen['core'] = _groups(cpus, lambda row: row.get('core'))
    column = next((name for name in cpus[0] if name.startswith('l1d:')), None)
    for number, name in enumerate(column.split(':') if column else ()):
        seen[name.lower()] = _groups(
            cpus, lambda row, n=number: dict(enumerate(
                (row.get(column) or '').split(':'))).get(n))
    return {what: value for what, value in seen.items()
            if value or what == 'sizes'}


def _flatten(entries):
    for entry in entries:
        yield entry.get('field', '').rstrip(':'), entry.get('data') or ''
        yield from _flatten(entry.get('children', ()))


def _from_summary(entries):
    """lscpu -J: numbers alone; {what: how many there are}."""
    fields = dict(_flatten(entries))
    counts, sizes = {}, {}
    for name, data in fields.items():
        match = re.fullmatch(r'(L1d|L1i|L1|L2|L3)(?: cache)?', name)
        if match:
            kind = match[1].lower()
            number = re.search(r'\((\d+) instance', data)
            if number:
                counts[kind] = int(number[1])
                total = size_of(data)
                if total:
                    sizes[kind] = total // counts[kind]
    for name, what in (('Socket(s)', 'socket'), ('NUMA node(s)', 'node'),
                       ('Cluster(s)', None)):
        if what and fields.get(name, '').isdigit():
            counts[what] = int(fields[name])
    if all(fields.get(name, '').isdigit()
           for name in ('Socket(s)', 'Core(s) per socket')):
        counts['core'] = (int(fields['Socket(s)'])
                          * int(fields['Core(s) per socket']))
    return {'counts': counts, 'sizes': sizes}


def from_lscpu(path):
    try:
        with open(path, encoding='utf-8') as file:
            data = json.load(file)
    except (OSError, ValueError) as error:
        why = getattr(error, 'strerror', None) or error
        raise ToolError(f'{path}: {why}; give a copy of the guest\'s '
                        '/sys/devices/system/cpu, or the output of lscpu -J '
                        'or lscpu -e -J') from error
    if isinstance(data, dict) and data.get('cpus'):
        return _from_table(data['cpus'])
    if isinstance(data, dict) and data.get('lscpu'):
        return _from_summary(data['lscpu'])
    raise ToolError(f'{path} is no output of lscpu -J or lscpu -e -J')


def load(path):
    return from_sysfs(path) if os.path.isdir(path) else from_lscpu(path)
