# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Latency against CPU time, stock QEMU and patched QEMU, a line a disk."""

import csv
import io
import re

from . import NOTE, read_lines
from .. import ToolError

STOCK, PATCHED, GREY = '#bb5566', '#004488', '#777777'
# Without fonts, dates and random names, so that it is the same each time
OPTIONS = {'svg.fonttype': 'none', 'svg.hashsalt': 'nearmetal',
           'font.family': ['DejaVu Sans', 'sans-serif'], 'font.size': 11}
NO_METADATA = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
PLACE = (0.1, 0.14, 0.86, 0.74)         # of the axes: no text is measured


def added(thousands, disk_us):
    """With one request at a time the rate tells how long each takes; what the
    disk did not need was added."""
    return 1e3 / float(thousands) - float(disk_us)


def points(path):
    """{'name', 'stock': (CPU us, added us), 'patched': ...} for each row."""
    try:
        rows = list(csv.DictReader(line for line in read_lines(path) if line))
        return [{'name': row['workload'],
                 **{kind: (float(row[kind + '_cpu_us']),
                           added(row[kind + '_thousands'], row['disk_us']))
                    for kind in ('stock', 'patched')}} for row in rows]
    except (KeyError, ValueError, TypeError) as error:
        raise ToolError(f'{path}: not the columns that a plot needs: '
                        f'{error}') from error


def _draw_one(axes, point):
    (x, y), (u, v) = point['stock'], point['patched']
    axes.annotate('', (u, v), (x, y), zorder=1, arrowprops={
        'arrowstyle': '->', 'color': GREY, 'linewidth': 1, 'shrinkA': 6,
        'shrinkB': 6})
    for kind, shade, mark in (('stock', STOCK, 's'),
                              ('patched', PATCHED, 'o')):
        axes.plot(*point[kind], mark, color=shade, markersize=8,
                  gid=f"{kind}-{point['name'].replace(' ', '-')}")
    # Below where the other point is beside it
    axes.annotate(point['name'], (x, y), textcoords='offset points',
                  xytext=(9, 5 if x - u > 1 else -16), color=STOCK,
                  fontsize=10)


def _figure(found):
    from matplotlib import pyplot
    figure = pyplot.figure(figsize=(7.2, 4.2))
    axes = figure.add_axes(PLACE)
    for point in found:
        _draw_one(axes, point)
    axes.set_xlim(0, 60)
    axes.set_ylim(0, 10)
    axes.spines[['top', 'right']].set_visible(False)
    axes.set_xlabel('CPU time of the IOThread for each request, us')
    axes.set_title('latency that is added to each request, us', loc='left',
                   fontsize=11, pad=26)
    axes.text(0, 10.35, 'down and left is better', color=GREY)
    for height, kind, shade in ((9.4, 'stock QEMU', STOCK),
                                (8.7, 'nearmetal', PATCHED)):
        axes.text(2, height, kind, color=shade, weight='bold')
    return figure


def draw(source):
    """The SVG as text."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    out = io.StringIO()
    with matplotlib.rc_context(OPTIONS):
        figure = _figure(points(source))
        figure.savefig(out, format='svg', metadata=NO_METADATA)
        pyplot.close(figure)
    text = '\n'.join(line.rstrip() for line in out.getvalue().split('\n'))
    head, mark, rest = text.partition('<svg ')
    note = NOTE.format(source=f'{source} with {name_of(matplotlib)}')
    return head + note + mark + rest


def name_of(matplotlib):
    return f'matplotlib {matplotlib.__version__}'


def version(svg):
    match = re.search(r'with matplotlib ([0-9][^;]*);', svg)
    return match and match[1]


def marks(svg):
    """What a reader sees: the texts, and where the points are."""
    groups = re.findall(r'<g id="((?:stock|patched)-[^"]+)">.*?<use [^>]*?'
                        r'x="([\d.]+)" y="([\d.]+)"', svg, re.S)
    return (re.findall(r'<text [^>]*>([^<]*)</text>', svg),
            [(name, round(float(x)), round(float(y)))
             for name, x, y in groups])


def same(kept, made):
    """Byte by byte; of another matplotlib, what a reader sees."""
    if version(kept) == version(made):
        return kept == made
    return marks(kept) == marks(made)
