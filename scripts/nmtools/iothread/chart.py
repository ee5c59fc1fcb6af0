# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A picture of a sweep: rate against CPU for each request, a point a setting.
"""

import os

from .. import ToolError, WrongArgument, picture
from . import sweep

BASE, OTHER, FRONT, BEST = '#000000', '#bbbbbb', '#4477aa', '#cc6677'


def check(path):
    """Before the long work: can the picture be drawn at all?"""
    if not path.endswith(picture.FORMATS):
        raise WrongArgument(
            '--plot needs a file name that ends with .svg or .png')
    folder = os.path.dirname(os.path.abspath(path))
    if not os.access(folder, os.W_OK):
        raise ToolError(f'--plot: cannot write to the folder {folder}')
    picture.check()


def _shade(verdict, result):
    return (BEST if verdict is result.best
            else BASE if verdict.setting is None
            else FRONT if verdict.pareto else OTHER)


def _points(axes, points, result):
    """The axes fit the medians: a spread may leave the picture."""
    for verdict in points:
        best = verdict is result.best
        axes.plot(_cost(verdict), verdict.rate, 'o', zorder=3,
                  color=_shade(verdict, result), markersize=9 if best else 6)
    axes.margins(0.15)
    axes.autoscale_view()
    axes.autoscale(False)
    for verdict in points:
        axes.errorbar(_cost(verdict), verdict.rate, fmt='none', linewidth=0.7,
                      ecolor=_shade(verdict, result),
                      xerr=_cost(verdict) * verdict.cost_spread,
                      yerr=verdict.rate * verdict.rate_spread)


def _names(axes, points, result):
    """In a column on the right, since points may lie close together."""
    points = sorted(points, key=lambda v: (-v.rate, v.cost))
    for place, verdict in enumerate(points):
        name = sweep.words(result.setting(verdict))
        if verdict is result.best:
            name += ' (recommended)'
        shade = _shade(verdict, result)
        axes.annotate(
            name, (_cost(verdict), verdict.rate), textcoords=axes.transAxes,
            xytext=(1.03, 1 - (place + 0.5) / len(points)), fontsize=8,
            va='center', color='#666666' if shade == OTHER else shade,
            annotation_clip=False,
            arrowprops={'arrowstyle': '-', 'color': shade, 'linewidth': 0.5,
                        'relpos': (0, 0.5)})


def _cost(verdict):
    return verdict.cost / 1e3


def draw(path, result):
    from matplotlib import pyplot
    points = [v for v in result.found if v.rounds]
    figure, axes = pyplot.subplots(figsize=(11, max(6, len(points) * 0.2)))
    front = sorted((_cost(v), v.rate) for v in points if v.pareto)
    axes.plot(*zip(*front), color=FRONT, linewidth=1, linestyle='--',
              label='Pareto front: none is better in both')
    _points(axes, points, result)
    _names(axes, points, result)
    axes.set_xlabel('CPU of the IOThread for each '
                    f'{result.unit[:-1]}, us (left is better)')
    axes.set_ylabel(f'{result.unit} per second (up is better)')
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(loc='lower left', bbox_to_anchor=(0, 1), fontsize=8,
                frameon=False)
    picture.save(figure, path)
