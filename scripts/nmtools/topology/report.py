# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Shows which CPU topology and caches a running VM was given, and compares
that with what its guest sees.  Boots nothing and changes nothing.  Needs
query-cpu-topology in QEMU."""

import argparse
import json
import sys

from .. import ToolError, command, table
from ..qmp import Refused, open_monitor
from ..stop import Stop
from . import guest

PROGRAM = 'topology-report'
ROWS = ('socket', 'die', 'cluster', 'core', 'node', 'l1', 'l1d', 'l1i', 'l2', 'l3')
SAME, DIFFERS, UNTOLD = 'same', 'DIFFERS', '-'
# From wide to narrow, as the IDs of topologyguest
PLACES = (('socket-id',), ('die-id',), ('cluster-id', 'module-id'),
          ('core-id',), ('thread-id',))
INEXPRESSIBLE = 'not expressible'
EPILOG = '''GUEST is a copy of the guest's /sys/devices/system/cpu, made with
  cp -r /sys/devices/system/cpu DIR
or a file with what lscpu -e -J or lscpu -J prints there.  lscpu knows no
clusters, and without -e it knows numbers alone.

results:
  same             the guest sees what the VM was given
  DIFFERS          it does not; lines below tell which CPUs
  not expressible  a device tree cannot say that CPUs share an L1 cache
  -                one side does not tell

Exit status: 0 nothing differs, 1 something does, or an error, 2 usage.

examples:
  topology-report /run/vm1.qmp
  topology-report --guest ./cpu /run/vm1.qmp
  topology-report --json --guest lscpu.json libvirt:vm1
'''


def parse(arguments):
    parser = command.Parser(
        prog=PROGRAM, description=__doc__, epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('monitor', metavar='MONITOR', type=command.address,
                        help=command.ADDRESS_HELP)
    parser.add_argument('--guest', metavar='GUEST',
                        help='what the guest sees, see below')
    parser.add_argument('--dt', action='store_true',
                        help='the guest was started without ACPI (default: '
                        'as the machine property acpi says)')
    parser.add_argument('--json', action='store_true',
                        help='one JSON object')
    return parser.parse_args(arguments)


def _group(cpus, names):
    """Groups of CPUs that have the same IDs NAMES."""
    found = {}
    for cpu in cpus:
        key = tuple(cpu['props'].get(name) for name in names)
        found.setdefault(key, set()).add(cpu['cpu-index'])
    return {frozenset(group) for group in found.values()}


def asked(info):
    """What the VM was given, as topologyguest has what is seen."""
    cpus = [cpu for cpu in info['cpus'] if cpu['present']]
    given = {'sizes': {}}
    names = ['socket-id', 'die-id']
    given['socket'] = _group(cpus, names[:1])
    if any('die-id' in cpu['props'] for cpu in cpus):
        given['die'] = _group(cpus, names)
    level = next((name for name in ('cluster-id', 'module-id')
                  if any(name in cpu['props'] for cpu in cpus)), None)
    if level:
        names.append(level)
        clusters = _group(cpus, names)
        # One in each socket is what CPUs have where -smp gives none
        if clusters != given['socket']:
            given['cluster'] = clusters
    given['core'] = _group(cpus, names + ['core-id'])
    if any('node-id' in cpu['props'] for cpu in cpus):
        given['node'] = _group(cpus, ['node-id'])
    for cache in info['caches']:
        guest.add(given, cache['cache'], frozenset(cache['cpus']))
        if 'size' in cache:
            given['sizes'].setdefault(cache['cache'], cache['size'])
    return given


def _by_package(places):
    """[[CPU, ...], ...] of {CPU: IDs}: packages and CPUs by their IDs."""
    packages = {}
    for cpu in sorted(places, key=lambda cpu: (places[cpu], cpu)):
        packages.setdefault(places[cpu][0], []).append(cpu)
    return list(packages.values())


def renumber(info, seen):
    """SEEN with QEMU's numbers of CPUs, found by their IDs: a guest numbers
    them as they come, which is another order after a hot-plug.  As it is where
    the IDs do not tell.  The other value: do the numbers differ?"""
    places = {}
    for cpu in info['cpus']:
        if cpu['present']:
            places[cpu['cpu-index']] = tuple(
                next((cpu['props'][name] for name in names
                      if name in cpu['props']), 0) for names in PLACES)
    theirs = _by_package(seen.get('ids', {}))
    ours = _by_package(places)
    if [len(cpus) for cpus in theirs] != [len(cpus) for cpus in ours]:
        return seen, False
    number = dict(zip((cpu for cpus in theirs for cpu in cpus),
                      (cpu for cpus in ours for cpu in cpus)))
    new = {name: {frozenset(number.get(cpu, cpu) for cpu in group)
                  for group in groups} if isinstance(groups, set) else groups
           for name, groups in seen.items()}
    return new, any(cpu != ours for cpu, ours in number.items())


def ranges(cpus):
    """'0-3,8' for a group."""
    parts, rest = [], sorted(cpus)
    while rest:
        length = 1
        while length < len(rest) and rest[length] == rest[0] + length:
            length += 1
        parts.append(str(rest[0]) if length == 1
                     else f'{rest[0]}-{rest[length - 1]}')
        rest = rest[length:]
    return ','.join(parts)


def summary(groups):
    """'4 x 8 CPUs'; the sizes where they are not all the same."""
    if not groups:
        return '-'
    sizes = sorted({len(group) for group in groups})
    text = '/'.join(map(str, sizes))
    return f'{len(groups)} x {text} CPU' + ('' if sizes == [1] else 's')


def compare(name, given, seen, without_acpi):
    """The result, and what tells more of a difference."""
    want = given.get(name)
    have = seen.get(name)
    counts = seen.get('counts', {})
    if want and not have and name in counts:
        return (SAME if len(want) == counts[name] else DIFFERS), []
    if not want or not have:
        return UNTOLD, []
    if want != have:
        if (without_acpi and name.startswith('l1')
                and have == {frozenset([cpu]) for group in want
                             for cpu in group}):
            return INEXPRESSIBLE, []
        return DIFFERS, [
            f'{name}: {word} {ranges(group)}'
            for word, groups in (('not seen:', want - have),
                                 ('seen:', have - want))
            for group in sorted(groups, key=min)[:4]]
    sizes = given['sizes'].get(name), seen['sizes'].get(name)
    if all(sizes) and sizes[0] != sizes[1]:
        return DIFFERS, [f'{name}: {sizes[0]} bytes each, seen: {sizes[1]}']
    return SAME, []


def rename_unified(given, seen):
    """One L1 for data and instructions is an l1d to QEMU."""
    if 'l1' in seen and 'l1d' in given and 'l1i' not in given:
        given['l1'] = given.pop('l1d')
        if 'l1d' in given['sizes']:
            given['sizes']['l1'] = given['sizes'].pop('l1d')


def without_dies(given, seen):
    """Each package is a die where the guest was told of none; that says
    nothing where it was to be told of none, either."""
    for one in (given, seen):
        other = seen if one is given else given
        if one.get('die') == one.get('socket') and (
                other.get('die', one.get('die')) == one.get('die')):
            one.pop('die', None)


def seen_text(name, seen):
    if name in seen:
        return summary(seen[name])
    count = seen.get('counts', {}).get(name)
    return '-' if count is None else str(count)


def report(given, seen, without_acpi):
    """[name, given, seen, result], and the lines that explain."""
    rows, notes = [], []
    if seen:
        rename_unified(given, seen)
        without_dies(given, seen)
    for name in ROWS:
        if not given.get(name) and seen_text(name, seen or {}) == '-':
            continue
        result, more = compare(name, given, seen, without_acpi) if seen \
            else ('', [])
        rows.append([name, summary(given.get(name)),
                     seen_text(name, seen or {}), result])
        notes += more
    return rows, notes


def print_table(rows, notes, with_guest):
    heads = ['WHAT', 'GIVEN', 'SEEN', 'RESULT']
    columns = 4 if with_guest else 2
    print('\n'.join(table.lines(heads[:columns],
                                [row[:columns] for row in rows],
                                left=range(columns))))
    for note in notes:
        print('  ' + note)


def print_json(rows, notes, info):
    print(json.dumps({
        'rows': [dict(zip(('what', 'given', 'seen', 'result'), row))
                 for row in rows],
        'differences': notes, 'cpus': info['cpus'],
        'caches': info['caches']}))


def has_no_acpi(monitor):
    try:
        return monitor.cmd('qom-get', path='/machine',
                           property='acpi') == 'off'
    except Refused:
        return False


def ask(monitor):
    try:
        return monitor.cmd('query-cpu-topology')
    except Refused as error:
        if error.error_class == 'CommandNotFound':
            raise ToolError(f'{monitor.address}: this QEMU has no '
                            'query-cpu-topology; use the one that '
                            'scripts/build makes') from error
        raise


def work(options):
    seen = guest.load(options.guest) if options.guest else None
    monitor = open_monitor(options.monitor, Stop().install())
    try:
        info = ask(monitor)
        without_acpi = options.dt or has_no_acpi(monitor)
    finally:
        monitor.close()
    moved = False
    if seen:
        seen, moved = renumber(info, seen)
    rows, notes = report(asked(info), seen, without_acpi)
    if moved:
        notes.append('the guest numbers CPUs in another order; they are '
                     'compared by their IDs, with the numbers of QEMU')
    if options.json:
        print_json(rows, notes, info)
    else:
        print_table(rows, notes, bool(seen))
    return int(any(row[3] == DIFFERS for row in rows))


def main(arguments=None):
    options = parse(sys.argv[1:] if arguments is None else arguments)
    return command.run(PROGRAM, lambda: work(options))
