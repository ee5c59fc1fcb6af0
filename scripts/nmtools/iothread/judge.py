# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What the slices of a sweep say: medians, noise, Pareto front, and which
setting to take, if any; pure.

The load drifts and swings.  So a slice is compared with those of the same
round in which nothing was changed, and a setting is recommended only if its
gain is larger than what such comparisons differ by without a cause."""

import math
import statistics

GOALS = ('latency', 'cpu', 'balanced')
LEAST_GAIN = 0.03       # not worth a change below
KEEP_RATE = 0.9         # 'cpu' does not give up more of the rate than this
SIGMAS = 3.0            # with some 20 settings, one in 40 sweeps is fooled
MEDIAN_SIGMA = 1.2533   # of a median, in sigmas of the mean
MAD_SIGMA = 1.4826      # of the median absolute deviation
MIN_ROUNDS = 3
STOPPED = 0.02          # of the rate there was: the load has ended


class Slice:
    """A setting in one round: counters' growth, summed over the IOThreads."""

    def __init__(self, number, setting, seconds, grown):
        self.round = number
        self.setting = setting      # index, None: as it is
        self.seconds = seconds
        self.grown = grown

    def idle(self):
        return not self.grown.get('events') and not self.grown.get('requests')

    def rate(self, unit):
        return self.grown.get(unit, 0) / self.seconds

    def cost(self, unit):
        """CPU ns for each."""
        return self.grown.get('cpu-time', 0) / max(self.grown.get(unit, 0), 1)

    def usable(self, unit):
        return self.grown.get(unit, 0) > 0 and \
            self.grown.get('cpu-time', 0) > 0


class Verdict:
    """One setting, over all its rounds."""

    def __init__(self, setting, rounds):
        self.setting = setting
        self.rounds = rounds
        self.rate = self.cost = None        # medians
        self.rate_spread = self.cost_spread = 0.0   # relative
        self.gain = 0.0                     # ln, by the goal
        self.noise = 0.0                    # what a gain must exceed
        self.hit_percent = self.wasted_percent = None
        self.pareto = False

    def better(self):
        return self.gain > max(self.noise, math.log1p(LEAST_GAIN))


def steady(slices, unit):
    """Without those, in their order of time, during which the load stopped: as
    the slices tell in which nothing was changed.  A setting that is just bad
    stays, between two of them that are good."""
    top = max((s.rate(unit) for s in slices if s.setting is None), default=0)

    def alive(s):
        return s is None or s.rate(unit) > STOPPED * top

    before, ahead, after = None, [], None
    for s in reversed(slices):
        ahead.append(after)
        after = s if s.setting is None else after
    kept = []
    for s, after in zip(slices, reversed(ahead)):
        around = [s] if s.setting is None else [before, after]
        if after is None:
            around.append(s)        # nothing later tells
        if top and all(map(alive, around)):
            kept.append(s)
        before = s if s.setting is None else before
    return kept


def pick_unit(slices):
    """What to count: requests, or events where no AIO engine is at work."""
    counted = sum(s.grown.get('requests', 0) > 0 for s in slices)
    return 'requests' if 2 * counted > len(slices) else 'events'


def score(goal, rate, cost):
    """The logarithm of how good a rate at a cost is."""
    return {'latency': math.log(rate), 'cpu': -math.log(cost),
            'balanced': math.log(rate) - math.log(cost)}[goal]


def mad(values):
    """A robust standard deviation."""
    if len(values) < 2:
        return 0.0
    middle = statistics.median(values)
    return MAD_SIGMA * statistics.median(abs(v - middle) for v in values)


def bases(slices, unit):
    """Geometric means of rate and cost, as it is, by round."""
    found = {}
    for s in slices:
        if s.setting is None and s.usable(unit):
            found.setdefault(s.round, []).append(
                (math.log(s.rate(unit)), math.log(s.cost(unit))))
    return {number: tuple(statistics.fmean(column) for column in zip(*pairs))
            for number, pairs in found.items()}


def ratios(slices, index, unit, base):
    """ln of rate and cost against the same round's base, one a round."""
    return [(math.log(s.rate(unit)) - base[s.round][0],
             math.log(s.cost(unit)) - base[s.round][1])
            for s in slices
            if s.setting == index and s.usable(unit) and s.round in base]


def share(slices, part, wholes, factor=100.0):
    total = sum(s.grown.get(name, 0) for s in slices for name in wholes)
    return factor * sum(s.grown.get(part, 0) for s in slices) / total \
        if total else None


def _verdict(slices, index, unit, base, middle):
    own = [s for s in slices if s.setting == index and s.usable(unit)]
    pairs = ratios(slices, index, unit, base)
    verdict = Verdict(index, len(pairs))
    if not pairs:
        return verdict, pairs
    rates, costs = zip(*pairs)
    verdict.rate = math.exp(middle[0] + statistics.median(rates))
    verdict.cost = math.exp(middle[1] + statistics.median(costs))
    verdict.rate_spread = math.expm1(mad(rates))
    verdict.cost_spread = math.expm1(mad(costs))
    verdict.hit_percent = share(own, 'poll-hits', ('poll-hits', 'poll-misses'))
    seconds = sum(s.seconds for s in own)
    verdict.wasted_percent = 1e-7 * sum(
        s.grown.get('poll-miss-time', 0) for s in own) / seconds
    return verdict, pairs


def verdicts(slices, count, unit, goal):
    """A verdict for each of COUNT settings, as it is (None) the first.  Those
    without a usable slice have rounds 0."""
    base = bases(slices, unit)
    if not base:
        return []
    middle = tuple(statistics.median(column) for column in zip(*base.values()))
    found, gains = [], {}
    for index in [None] + list(range(count)):
        verdict, pairs = _verdict(slices, index, unit, base, middle)
        gains[index] = [score(goal, math.exp(r), math.exp(c))
                        for r, c in pairs]
        found.append(verdict)
    _weigh(found, gains)
    usable = [v for v in found if v.rounds]
    for number in pareto([(v.rate, v.cost) for v in usable]):
        usable[number].pareto = True
    return found


def _weigh(found, gains):
    """Gains, and the noise that each has to exceed: that of all settings
    together, or its own if that is larger."""
    residuals = []
    for index, values in gains.items():
        middle = statistics.median(values) if values else 0.0
        # Two slices a round against their own mean: half of the variance
        factor = math.sqrt(2) if index is None else 1.0
        residuals += [factor * abs(v - middle) for v in values]
    # The value that is the median tells nothing of the noise
    told = [value for value in residuals if value > 0]
    pooled = MAD_SIGMA * statistics.median(told) if told else 0.0
    for verdict in found:
        values = gains[verdict.setting]
        if verdict.setting is None or not values:
            continue
        verdict.gain = statistics.median(values)
        sigma = max(pooled, mad(values))
        verdict.noise = SIGMAS * MEDIAN_SIGMA * sigma / math.sqrt(len(values))


def pareto(points):
    """Numbers of the (rate, cost) that no other one beats in both."""
    return [i for i, (rate, cost) in enumerate(points)
            if not any(r >= rate and c <= cost and (r > rate or c < cost)
                       for r, c in points)]


def recommend(found, goal):
    """The verdict to follow, or None: keep what you have."""
    if not found:
        return None
    floor = KEEP_RATE * found[0].rate if goal == 'cpu' else 0
    good = [v for v in found[1:]
            if v.rounds >= MIN_ROUNDS and v.better() and v.rate >= floor]
    if not good:
        return None
    best = max(good, key=lambda v: v.gain)
    # As good as the best one, as far as can be told: the other side decides
    level = [v for v in good if v.gain >= best.gain - v.noise]
    if goal == 'latency':
        return min(level, key=lambda v: v.cost)
    if goal == 'cpu':
        return max(level, key=lambda v: v.rate)
    return best


def noise(found):
    """The typical noise of the comparison, as a share; 0 without any."""
    known = [v.noise for v in found[1:] if v.rounds]
    return math.expm1(statistics.median(known)) if known else 0.0
