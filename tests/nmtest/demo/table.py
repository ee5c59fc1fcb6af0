# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Aligned tables and colour."""

import os
import sys


def colour(stream=sys.stdout):
    return (stream.isatty() and not os.environ.get('NO_COLOR')
            and os.environ.get('TERM', 'dumb') != 'dumb')


def paint(text, code, stream=sys.stdout):
    return f'\033[{code}m{text}\033[0m' if colour(stream) else text


def good(text, stream=sys.stdout):
    return paint(text, 32, stream)


def bad(text, stream=sys.stdout):
    return paint(text, 31, stream)


def cell(value):
    if value is None:
        return 'n/a'
    if isinstance(value, float):
        return f'{value:.1f}' if value < 1000 else f'{value:.0f}'
    return str(value)


def format_table(heads, rows):
    """Lines of a table: text to the left, numbers and n/a to the right."""
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(heads)] + cells)
              for i in range(len(heads))]
    right = [bool(rows) and all(not isinstance(row[i], str) for row in rows)
             for i in range(len(heads))]
    lines = []
    for line in [list(heads)] + cells:
        parts = [text.rjust(width) if flag else text.ljust(width)
                 for text, width, flag in zip(line, widths, right)]
        lines.append('  '.join(parts).rstrip())
    return lines
