# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Figures of slices, medians, paired ratios and verdicts."""

import math
import statistics
from dataclasses import dataclass

# Student's t, two-sided 95 %, by degrees of freedom; 2.0 beyond
T95 = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18,
       2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09]
# An interval wider than this, up or down, tells nothing
PRECISION = 0.05
FIGURES = ('iops', 'added_us', 'p50_us', 'p99_us', 'cpu_percent', 'cpu_us',
           'kicks')


def figures(slices):
    """Figures of a repetition from the driver's results of its slices."""
    total = {key: sum(s[key] for s in slices) for key in
             ('ns', 'requests', 'kicks', 'cpu-ns')}
    requests = total['requests']

    def weighted(key):
        if not requests:
            return None
        return sum(s[key] * s['requests'] for s in slices) / requests / 1e3

    return {'iops': requests / total['ns'] * 1e9,
            'added_us': weighted('mean-ns'), 'p50_us': weighted('p50-ns'),
            'p99_us': weighted('p99-ns'),
            'cpu_percent': 100 * total['cpu-ns'] / total['ns'],
            'cpu_us': total['cpu-ns'] / requests / 1e3 if requests else None,
            'kicks': total['kicks'] / requests if requests else None}


def median(samples, key):
    values = [s[key] for s in samples if s[key] is not None]
    return statistics.median(values) if values else None


def spread(samples, key):
    """Half of what lies between the quartiles, in percent of the median."""
    values = [s[key] for s in samples if s[key] is not None]
    if len(values) < 2 or not statistics.median(values):
        return None
    low, _, high = statistics.quantiles(values, n=4, method='inclusive')
    return 50 * (high - low) / statistics.median(values)


@dataclass(frozen=True)
class Ratio:
    """Geometric mean of pairs' ratios, with its 95 % interval."""
    mean: float
    low: float
    high: float

    @property
    def precise(self):
        return self.high / self.mean - 1 <= PRECISION

    def __str__(self):
        if math.isinf(self.high):
            return f'{self.mean:.3f} (one pair)'
        return f'{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})'


def interval(values):
    """The mean, and half of its 95 % interval, infinite with one value."""
    half = math.inf
    if len(values) > 1:
        t = T95[len(values) - 2] if len(values) - 2 < len(T95) else 2.0
        half = t * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), half


def ratio(samples, others, key):
    """Of @samples over @others, the n-th with the n-th; None without any."""
    logs = [math.log(a[key] / b[key]) for a, b in zip(samples, others)
            if a[key] and b[key]]
    if not logs:
        return None
    mean, half = interval(logs)
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def verdict(target, value):
    """reached, not reached or inconclusive.

    Reached: the interval holds the bound or lies beyond it, and is precise.
    """
    if value is None:
        return 'inconclusive'
    if target.sign == '>=':
        missed = value.high < target.bound
    else:
        missed = value.low > target.bound
    if missed:
        return 'not reached'
    return 'reached' if value.precise else 'inconclusive'
