# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Tables that align, with units that people read."""

import os
import sys


def terminal(stream):
    """Does it understand escape sequences?"""
    return stream.isatty() and os.environ.get('TERM') not in (None, '', 'dumb')


def colour(stream=sys.stdout):
    return terminal(stream) and not os.environ.get('NO_COLOR')


def paint(text, code, on):
    return f'\033[{code}m{text}\033[0m' if on and code else text


def duration(ns):
    """A time in three digits or so, '-' if there is none."""
    if ns is None:
        return '-'
    for limit, unit, name in ((1e3, 1, 'ns'), (1e6, 1e3, 'us'),
                              (1e9, 1e6, 'ms'), (float('inf'), 1e9, 's')):
        if ns < limit:
            value = ns / unit
            break
    return f'{value:.0f}{name}' if unit == 1 or value >= 100 \
        else f'{value:.1f}{name}'


def count(value):
    """A rate: whole numbers, millions from a million on."""
    if value is None:
        return '-'
    if value >= 999950:
        return f'{value / 1e6:.2f}M'
    return f'{value:.0f}' if value >= 10 or value == int(value) \
        else f'{value:.1f}'


def decimal(value, digits=1):
    return '-' if value is None else f'{value:.{digits}f}'


def shorten(text, width):
    """Its two ends, which tell names apart."""
    if len(text) <= width:
        return text
    if width < 4:
        return text[:width]
    left = (width - 1) // 2
    return text[:left] + '..' + text[len(text) - (width - 2 - left):]


def align(heads, rows, left=(0,)):
    """Lists of padded cells, the heads first; LEFT: columns of text, which
    stand to the left."""
    lines = [list(heads)] + [list(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return [[cell.ljust(width) if i in left else cell.rjust(width)
             for i, (cell, width) in enumerate(zip(line, widths))]
            for line in lines]


def lines(heads, rows, left=(0,)):
    return ['  '.join(cells).rstrip() for cells in align(heads, rows, left)]


def _cell(value):
    if value is None:
        return 'n/a'
    if isinstance(value, float):
        return f'{value:.1f}' if value < 1000 else f'{value:.0f}'
    return str(value)


def value_lines(heads, rows):
    """Lines of values: text to the left, numbers and n/a to the right."""
    left = [i for i in range(len(heads))
            if not rows or any(isinstance(row[i], str) for row in rows)]
    return lines(heads, [[_cell(value) for value in row] for row in rows],
                 left)
