# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Pictures: added latency against CPU, one for each workload."""

import os

from .. import picture
from . import figures
from .report import cpu_key

SHADES = ['#4477aa', '#cc6677', '#228833', '#ccbb44', '#66ccee', '#aa3377',
          '#999999', '#ee8866']
DPI = 110


def _draw(axes, workload, samples):
    """Repetitions as small dots, the median as a large one."""
    key = cpu_key(workload)
    latency = 'added_us' if not workload.idle else 'iops'
    for (label, mine), shade in zip(samples.items(), SHADES * len(samples)):
        axes.plot([s[key] for s in mine], [s[latency] for s in mine], '.',
                  color=shade, markersize=4, alpha=0.4)
        axes.plot([figures.median(mine, key)], [figures.median(mine, latency)],
                  'o', color=shade, markersize=8, label=label)
    axes.set_title(workload.name, fontsize=10)
    axes.set_xlabel('IOThread CPU, %' if workload.idle else
                    'IOThread CPU per request, us', fontsize=8)
    axes.set_ylabel('' if workload.idle else 'mean added latency, us',
                    fontsize=8)
    axes.set_xlim(0, 1.15 * max(s[key] for some in samples.values()
                                for s in some))
    axes.set_ylim(0, 1.15 * max(s[latency] for some in samples.values()
                                for s in some) or 1)
    if workload.idle:
        axes.set_yticks([])
    axes.tick_params(labelsize=8)
    axes.spines[['top', 'right']].set_visible(False)


def draw(folder, workloads, samples):
    """Writes NAME.png for each workload, and all.png; returns the paths."""
    from matplotlib import pyplot
    workloads = [w for w in workloads if next(iter(samples[w.name].values()))]
    paths = []
    for workload in workloads:
        figure, axes = pyplot.subplots(figsize=(5, 4))
        _draw(axes, workload, samples[workload.name])
        axes.legend(fontsize=8)
        paths.append(os.path.join(folder, workload.name + '.png'))
        picture.save(figure, paths[-1], dpi=DPI)
    if len(workloads) > 1:
        columns = min(4, len(workloads))
        rows = -(-len(workloads) // columns)
        figure, grid = pyplot.subplots(
            rows, columns, figsize=(3.2 * columns, 2.8 * rows), squeeze=False)
        for axes in grid.flat[len(workloads):]:
            axes.set_visible(False)
        for axes, workload in zip(grid.flat, workloads):
            _draw(axes, workload, samples[workload.name])
        grid.flat[0].legend(fontsize=7)
        paths.append(os.path.join(folder, 'all.png'))
        picture.save(figure, paths[-1], dpi=DPI)
    return paths
