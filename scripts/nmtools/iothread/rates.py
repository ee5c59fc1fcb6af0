# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What happened between two samples of one IOThread; pure arithmetic."""

CUMULATIVE = ('loops', 'poll-hits', 'poll-misses', 'poll-hit-time',
              'poll-miss-time', 'blocks', 'block-time', 'spurious-wakeups',
              'events', 'requests', 'submits', 'cpu-time')
HISTOGRAM = 'wait-histogram'


def deltas(before, after):
    """What each counter grew by, or None if they have started afresh, as
    those of an IOThread that was removed and added again do."""
    grown = {name: after[name] - before[name] for name in CUMULATIVE
             if name in before and name in after}
    if any(value < 0 for value in grown.values()):
        return None
    old, new = before.get(HISTOGRAM), after.get(HISTOGRAM)
    if old and new and len(old) == len(new):
        grown[HISTOGRAM] = [b - a for a, b in zip(old, new)]
        if min(grown[HISTOGRAM]) < 0:
            return None
    return grown


def mean_wait_ns(histogram):
    """The mean of a log2 histogram, each bucket taken at its middle: good to
    about a third.  Bucket 0 is 0, bucket n is 2^(n-1) to 2^n - 1 ns."""
    total = sum(histogram or ())
    if not total:
        return None
    middles = [0] + [0.75 * 2 ** n for n in range(1, len(histogram))]
    return sum(n * ns for n, ns in zip(histogram, middles)) / total


def ratio(part, whole, factor=1.0):
    """part / whole, None where there is nothing to divide or to divide by."""
    if part is None or not whole:
        return None
    return factor * part / whole


def figures(before, after, seconds):
    """Rates and shares by name, None for what cannot be told; None altogether
    after a reset of the counters."""
    grown = deltas(before, after)
    if grown is None or seconds <= 0:
        return None
    get = grown.get
    polls = get('poll-hits', 0) + get('poll-misses', 0)
    return {
        'cpu-percent': ratio(get('cpu-time'), seconds, 1e-7),
        'events-per-second': ratio(get('events'), seconds),
        'requests-per-second': ratio(get('requests'), seconds),
        'batch': ratio(get('requests'), get('submits')),
        'hit-percent': ratio(get('poll-hits'), polls, 100),
        'wasted-percent': ratio(get('poll-miss-time'), seconds, 1e-7),
        'mean-wait-ns': mean_wait_ns(get(HISTOGRAM)),
        'poll-current-ns': after.get('poll-current'),
    }
