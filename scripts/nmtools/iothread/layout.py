# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What iothread-top prints: rows, tables that fit, JSON; no I/O."""

import os
import time

from .. import table
from .query import short

WASTED_MUCH, WASTED_SOME = 50, 20       # % of the time: red, yellow


def limit(ns):
    return 'off' if ns == 0 else table.duration(ns)


def _shade(figures):
    wasted = figures.get('wasted-percent') or 0
    return 31 if wasted >= WASTED_MUCH else 33 if wasted >= WASTED_SOME else 0


# Head, text of a row, and which go first where the terminal is narrow
COLUMNS = (
    ('IOTHREAD', lambda r: r['id'], 0),
    ('CPU %', lambda r: table.decimal(r.get('cpu-percent')), 1),
    ('EVENTS/S', lambda r: table.count(r.get('events-per-second')), 6),
    ('REQ/S', lambda r: table.count(r.get('requests-per-second')), 2),
    ('BATCH', lambda r: table.decimal(r.get('batch')), 7),
    ('HIT %', lambda r: table.decimal(r.get('hit-percent')), 3),
    ('WASTED %', lambda r: table.decimal(r.get('wasted-percent')), 4),
    ('WAIT', lambda r: table.duration(r.get('mean-wait-ns')), 5),
    ('POLL', lambda r: table.duration(r.get('poll-current-ns')), 8),
    ('MAX', lambda r: limit(r.get('poll-max-ns')), 9),
    ('POLICY', lambda r: r.get('poll-policy') or '-', 10),
)
WASTED_HEAD = 'WASTED %'
NAME_LEAST = 12         # characters of an ID


class Report:
    """One interval: a row for each IOThread, and what else is to be told."""

    def __init__(self, when, seconds, rows, notes):
        self.when = when
        self.seconds = seconds
        self.rows = rows
        self.notes = notes

    def title(self, name):
        clock = time.strftime('%H:%M:%S', time.localtime(self.when))
        return f'{name}  {clock}  over {self.seconds:.1f} s'

    def as_json(self):
        return {'time': round(self.when, 3),
                'seconds': round(self.seconds, 3),
                'notes': self.notes,
                'iothreads': [{key: round(value, 3)
                               if isinstance(value, float) else value
                               for key, value in row.items()}
                              for row in self.rows]}


def build(before, after, settings, compare):
    """A report of two samples; COMPARE(stats, stats, seconds) has figures."""
    seconds = after.seconds - before.seconds
    rows, notes = [], []
    for path in sorted(after.stats, key=_natural):
        row = {'id': short(path), 'qom-path': path}
        row.update(settings.get(path, {}))
        if path not in before.stats:
            notes.append(f'{short(path)} is new')
            row['poll-current-ns'] = after.stats[path].get('poll-current')
        else:
            figures = compare(before.stats[path], after.stats[path], seconds)
            if figures is None:
                notes.append(f'{short(path)}: counters started afresh')
            row.update(figures or {})
        rows.append(row)
    notes += [f'{short(path)} has gone' for path in sorted(before.stats)
              if path not in after.stats]
    return Report(time.time(), seconds, rows, notes)


def _natural(path):
    """iothread2 before iothread10."""
    digits = path[len(path.rstrip('0123456789')):]
    return (path[:len(path) - len(digits)], int(digits or 0))


def short_names(rows, width):
    """IDs that leave the figures their room: of a narrow terminal a quarter,
    or as much as it takes to tell them apart."""
    names = [row['id'] for row in rows]
    same = len(os.path.commonprefix(names))
    for room in range(max(NAME_LEAST, width // 4), width + 1):
        ends = [table.shorten(name, room) for name in names]
        differ = ['..' + name[same:][:room - 2] for name in names]
        for shown in (ends, differ):
            if len(set(shown)) == len(set(names)):
                return shown
    return [table.shorten(name, width) for name in names]


def fitting(lines, width):
    """Which columns fit WIDTH: all, or without the least important ones."""
    chosen = list(range(len(COLUMNS)))
    for victim in sorted(chosen, key=lambda i: -COLUMNS[i][2]):
        if sum(len(lines[0][i]) + 2 for i in chosen) - 2 <= width:
            break
        if len(chosen) > 1:
            chosen.remove(victim)
    return chosen


def lines_of(rows, width=None, colour=False):
    """The table's lines, at most WIDTH wide."""
    if not rows:
        return ['no IOThread: this VM was started without '
                '-object iothread,id=ID'[:width]]
    heads = [head for head, _, _ in COLUMNS]
    texts = [[text(row) for _, text, _ in COLUMNS] for row in rows]
    cells = table.align(heads, texts)
    chosen = fitting(cells, width or 10000)
    if len(chosen) < len(COLUMNS):
        # Long names must not cost the figures
        cells = table.align(heads, [[name] + text[1:] for name, text
                                    in zip(short_names(rows, width), texts)])
        chosen = fitting(cells, width)
    lines = []
    for number, line in enumerate(cells):
        parts = []
        for i in chosen:
            code = 0
            if number and heads[i] == WASTED_HEAD:
                code = _shade(rows[number - 1])
            parts.append((line[i], code))
        lines.append(_join(parts, width, 1 if number == 0 else 0, colour))
    return lines


def _join(parts, width, bold, colour):
    if width and len(parts) == 1:
        parts = [(parts[0][0][:width], parts[0][1])]
    if bold:
        text = '  '.join(text for text, _ in parts)
        return table.paint(text.rstrip(), 1, colour)
    return '  '.join(table.paint(text, code, colour) for text, code in parts)


def page(report, name, size, colour):
    """A screenful: title, table, notes; rows that do not fit are counted."""
    width, height = size
    lines, rows = [report.title(name)[:width]], report.rows
    room = height - 2 - (len(report.notes) > 0)
    if len(rows) < room:
        lines.append('')
    if len(rows) > room:
        rows = sorted(rows, key=lambda row: -(row.get('cpu-percent') or 0))
        rows = rows[:max(room - 1, 1)]
    lines += lines_of(rows, width, colour)
    if len(rows) < len(report.rows):
        lines.append(f'{len(report.rows) - len(rows)} less busy ones do not '
                     'fit'[:width])
    if report.notes:
        lines.append('; '.join(report.notes)[:width])
    return lines[:max(height, 1)]
