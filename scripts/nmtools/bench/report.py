# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The table, and the files."""

import csv
import json

from ..table import colour, decimal, lines, paint
from . import configs as cfg
from . import figures

HEADS = ('config', 'kIOPS', '+-%', 'added us', 'p99 us', 'CPU %', 'us/req',
         'kicks/req', 'IOPS ratio (95 %)', 'CPU ratio (95 %)')
NAMES = {'iops': 'IOPS', 'cpu_us': 'CPU/request', 'cpu_percent': 'CPU'}
COLOURS = {'reached': 32, 'not reached': 31, 'inconclusive': 33}


def cpu_key(workload):
    """CPU per request, or as a share where there are none."""
    return 'cpu_percent' if workload.idle else 'cpu_us'


def _row(workload, label, mine, first):
    def med(key):
        return figures.median(mine, key)

    iops = med('iops')
    row = [label, decimal(iops / 1e3, 2),
           decimal(figures.spread(mine, 'iops'), 1),
           decimal(med('added_us'), 1), decimal(med('p99_us'), 1),
           decimal(med('cpu_percent'), 1), decimal(med('cpu_us'), 2),
           decimal(med('kicks'), 3)]
    for key in ('iops', cpu_key(workload)):
        value = figures.ratio(mine, first, key) if mine is not first else None
        row.append(str(value) if value else '')
    return row


def verdicts(workload, samples):
    """[{config, target, ratio, verdict}] for all but the reference."""
    labels = list(samples)
    result = []
    for label in labels[1:]:
        if label == cfg.OFF:
            continue
        for target in workload.targets:
            other = labels[0] if target.against == 'reference' else cfg.OFF
            value = figures.ratio(samples[label], samples[other],
                                  target.metric)
            result.append({'config': label, 'target': target, 'ratio': value,
                           'verdict': figures.verdict(target, value)})
    return result


def print_table(workloads, samples):
    missed = []
    for workload in workloads:
        mine = samples[workload.name]
        first = next(iter(mine.values()))
        if not first:
            missed.append(workload.name)
            continue
        print(f'{paint(workload.name, 1, colour())}: {workload.what}; '
              f"{len(first)} repetition{'' if len(first) == 1 else 's'}")
        rows = [_row(workload, label, some, first)
                for label, some in mine.items()]
        for line in lines(HEADS, rows, left=(0, 8, 9)):
            print('  ' + line)
        for v in verdicts(workload, mine):
            print(f"  {v['config']}: {NAMES[v['target'].metric]} "
                  f"{v['target']}: {v['ratio'] or 'no ratio'}: "
                  + paint(v['verdict'], COLOURS[v['verdict']], colour()))
        print()
    if missed:
        print(f"not measured, no time was left: {', '.join(missed)}")


def _ratio_json(value):
    if value is None:
        return None
    one = value.high == float('inf')
    return {'mean': round(value.mean, 4),
            'low': None if one else round(value.low, 4),
            'high': None if one else round(value.high, 4),
            'precise': value.precise}


def _workload_json(workload, samples):
    first = next(iter(samples.values()))
    result = {'what': workload.what, 'run': workload.run,
              'profile': workload.profile, 'disks': workload.disks,
              'configs': {}, 'targets': []}
    for label, mine in samples.items():
        entry = {'samples': mine,
                 'median': {key: figures.median(mine, key)
                            for key in figures.FIGURES}}
        if mine is not first:
            entry['ratio'] = {
                key: _ratio_json(figures.ratio(mine, first, key))
                for key in ('iops', 'added_us', 'p99_us', cpu_key(workload))}
        result['configs'][label] = entry
    for v in verdicts(workload, samples):
        result['targets'].append({
            'config': v['config'], 'metric': v['target'].metric,
            'sign': v['target'].sign, 'bound': v['target'].bound,
            'against': v['target'].against, 'verdict': v['verdict'],
            'ratio': _ratio_json(v['ratio'])})
    return result


def write_json(path, machine, workloads, samples):
    data = {'machine': machine, 'workloads': {
        w.name: _workload_json(w, samples[w.name]) for w in workloads}}
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(data, f, indent=1)
        f.write('\n')


def write_csv(path, workloads, samples):
    with open(path, 'w', encoding='utf-8', newline='') as f:
        writer = csv.writer(f, lineterminator='\n')
        writer.writerow(['workload', 'config', 'repetition', *figures.FIGURES])
        for workload in workloads:
            for label, mine in samples[workload.name].items():
                for rep, s in enumerate(mine):
                    writer.writerow(
                        [workload.name, label, rep] +
                        ['' if s[key] is None else round(s[key], 3)
                         for key in figures.FIGURES])
