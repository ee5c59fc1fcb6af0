# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A picture of I/O rate and IOThread CPU per step."""

import os

from nmtools import ToolError, picture


def check(path):
    """Before the long work: can the picture be drawn at all?"""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ToolError(f'--plot: the folder {folder} does not exist')
    picture.check()


def draw(path, outcomes, result):
    from matplotlib import pyplot
    names = [f'{o.step.name}\n(depth {o.step.depth})' for o in outcomes]
    rates = [o.figures['iops'] or 0 for o in outcomes]
    cpus = [o.figures['cpu-percent'] or 0 for o in outcomes]
    figure, axes = pyplot.subplots(2, 1, sharex=True, figsize=(9, 6))
    for axis, values, label, shade in (
            (axes[0], rates, 'requests per second', '#4477aa'),
            (axes[1], cpus, 'IOThread CPU, %', '#cc6677')):
        bars = axis.bar(names, values, color=shade)
        axis.bar_label(bars, fmt='%.0f', fontsize=8)
        axis.set_ylabel(label)
        axis.margins(y=0.15)
        axis.spines[['top', 'right']].set_visible(False)
    axes[1].tick_params(axis='x', labelsize=8)
    figure.suptitle('One guest, tuned while it runs '
                    f"({result['arch']}, {result['accel']})")
    picture.save(figure, path)
