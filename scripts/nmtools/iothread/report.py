# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What iothread-tune says in the end: a table, a verdict, JSON; no I/O."""

import math

from .. import table
from . import judge, sweep

UNITS = {'requests': ('REQ/S', 'CPU US/REQ', 'requests'),
         'events': ('EVENTS/S', 'CPU US/EVENT', 'events')}
KEEP = 'keep what you have: nothing tried is better by more than {}'

UNSTEADY = ('keep what you have: the load swings by more than it has without '
            'a cause, which hides what a setting does; start again under a '
            'steady load')

HINT_NOISE, MOST_NOISE = 0.1, 1.0


class Result:
    """All of a run that is told in any form."""

    def __init__(self, goal, settings, unit, found, best, present, idle,
                 lost=0):
        self.goal = goal
        self.settings = settings
        self.unit = unit
        self.found = found
        self.best = best
        self.present = present
        self.idle = idle
        self.lost = lost        # slices without the load
        self.advice = []

    def setting(self, verdict):
        return {} if verdict.setting is None \
            else self.settings[verdict.setting]


def percent(log):
    return 100 * math.expm1(log)


def signed(log):
    return f'{percent(log):+.1f}'


def _marks(verdict, result):
    words = ['recommended'] if verdict is result.best else []
    if verdict.pareto:
        words.append('pareto')
    return ' '.join(words)


def _row(verdict, result):
    name = sweep.words(result.setting(verdict))
    if not verdict.rounds:
        return (name,) + ('-',) * 8 + ('not measured',)
    base = verdict.setting is None
    return (name, table.count(verdict.rate),
            f'{100 * verdict.rate_spread:.1f}',
            table.decimal(verdict.cost / 1e3, 2),
            f'{100 * verdict.cost_spread:.1f}',
            '' if base else signed(verdict.gain),
            '' if base else f'{percent(verdict.noise):.1f}',
            table.decimal(verdict.hit_percent),
            table.decimal(verdict.wasted_percent), _marks(verdict, result))


def table_lines(result):
    rate, cost, _ = UNITS[result.unit]
    heads = ('SETTING', rate, '+-%', cost, '+-%', 'GAIN %', 'NOISE %',
             'HIT %', 'WASTED %', '')
    return table.lines(heads, [_row(v, result) for v in result.found],
                       left=(0, len(heads) - 1)) + [
        f'{rate} and CPU are medians, +- their spread; GAIN is by the goal '
        f"'{result.goal}',", 'against the same round as it is, and counts '
        'where it is larger than NOISE']


def verdict_line(result):
    """The recommendation, or why there is none."""
    if result.best is None:
        limit = max(judge.noise(result.found), judge.LEAST_GAIN)
        if limit > MOST_NOISE:
            return UNSTEADY
        text = KEEP.format(f'{100 * limit:.0f} % (noise of this load)')
        if limit > HINT_NOISE:
            text += '; more --rounds and --seconds tell smaller differences'
        if result.goal == 'cpu' and any(
                v.rounds and v.better() for v in result.found[1:]):
            text = KEEP.format('the noise without losing more than '
                               f'{100 - 100 * judge.KEEP_RATE:.0f} % of the '
                               'rate')
        return text
    base, best = result.found[0], result.best
    return (f'recommended: {sweep.words(result.setting(best))}: '
            f'{100 * (best.rate / base.rate - 1):+.0f} % '
            f'{UNITS[result.unit][2]}/s, '
            f'{100 * (best.cost / base.cost - 1):+.0f} % CPU for each')


def advice_lines(result):
    """Lines to paste, under what they are for."""
    def lines(form):
        return [line for one in result.advice for line in one[form]]
    parts = [
        ('for the command line, with what else your -object has',
         [one['object'] for one in result.advice]),
        ('at once, over QMP', lines('qmp')),
        ('at once, with libvirt', lines('virsh')),
        ("in the domain's <iothreadids>",
         [one['xml'] for one in result.advice if one['xml']]),
    ]
    return [(title, texts) for title, texts in parts if texts]


def as_json(result):
    def one(verdict):
        return {
            'set': result.setting(verdict), 'slices': verdict.rounds,
            'rate': _rounded(verdict.rate, 1),
            'rate-spread': _rounded(verdict.rate_spread),
            'cpu-ns': _rounded(verdict.cost, 1),
            'cpu-spread': _rounded(verdict.cost_spread),
            'gain': _rounded(math.expm1(verdict.gain)),
            'noise': _rounded(math.expm1(verdict.noise)),
            'hit-percent': _rounded(verdict.hit_percent, 1),
            'wasted-percent': _rounded(verdict.wasted_percent, 1),
            'pareto': verdict.pareto}
    return {'goal': result.goal, 'unit': result.unit,
            'present': result.present, 'idle-slices': result.idle,
            'stopped-slices': result.lost,
            'noise': _rounded(judge.noise(result.found)),
            'settings': [one(v) for v in result.found],
            'recommended': None if result.best is None
            else result.setting(result.best),
            'verdict': verdict_line(result), 'advice': result.advice}


def _rounded(value, digits=4):
    return None if value is None else round(value, digits)
