# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Which settings to try, and in which order; pure."""

import itertools
import random

from .. import ToolError, WrongArgument
from .query import DEFAULTS

SWEEP = {
    'poll-max-ns': (0, 8000, 16384, 32768, 65536, 131072),
    'poll-policy': ('classic', 'weighted', 'predictive'),
    'poll-latency-weight': (1, 20, 100),
    'poll-weight': (1, 5),
    'aio-max-batch': (1, 8, 32, 128),
}
# A property of one policy is tried with that policy
BELONGS_TO = {'poll-latency-weight': 'predictive', 'poll-weight': 'weighted'}
POLICY = 'poll-policy'
MOST = 100          # settings


def parse_set(texts):
    """Lists of values by property, of --set PROPERTY=VALUE,... ."""
    wanted = {}
    for text in texts:
        name, equals, values = text.partition('=')
        if name not in DEFAULTS:
            raise WrongArgument(f"an IOThread has no setting '{name}'; known "
                                'are ' + ', '.join(DEFAULTS))
        values = [value.strip() for value in values.split(',')]
        if not equals or not all(values):
            raise WrongArgument(f"--set '{text}': give values, as in "
                                '--set poll-max-ns=0,32768')
        wanted.setdefault(name, []).extend(_value(name, v) for v in values)
    return wanted


def _value(name, text):
    if isinstance(DEFAULTS[name], str):
        return text
    if not text.isdecimal():
        raise WrongArgument(f"--set {name}: '{text}' is no whole number")
    return int(text)


def plan(wanted, present, available):
    """Settings to try, as dictionaries, with notes on what was left out.

    WANTED as from parse_set(): every combination is tried; {} tries one
    property after the other.  PRESENT: values by IOThread.  AVAILABLE: the
    properties that all the IOThreads have.
    """
    absent = [name for name in (wanted or SWEEP) if name not in available]
    notes = [f"this QEMU has no {', '.join(absent)}: not tried"] if absent \
        else []
    if wanted:
        names = [name for name in wanted if name in available]
        settings = [dict(zip(names, values)) for values
                    in itertools.product(*(wanted[n] for n in names))]
    else:
        settings = [{name: value} for name, values in SWEEP.items()
                    if name in available for value in values]
    chosen = []
    for setting in settings:
        setting = _complete(setting, available)
        if setting not in chosen and not _is_present(setting, present):
            chosen.append(setting)
    if not chosen:
        raise ToolError('nothing to try: ' + ('; '.join(notes) or
                        'all the values are set already'))
    if len(chosen) > MOST:
        raise ToolError(f'{len(chosen)} combinations, at most {MOST} can be '
                        'tried; give --set fewer values')
    return chosen, notes


def _complete(setting, available):
    """With the policy that a property of it needs."""
    for name, policy in BELONGS_TO.items():
        if name in setting and POLICY not in setting and POLICY in available:
            return {POLICY: policy, **setting}
    return setting


def _is_present(setting, present):
    return all(values.get(name) == value for values in present.values()
               for name, value in setting.items())


def order(count, number):
    """The settings' order in a round: shuffled, so that a load that swings
    does not favour one, and what is set now (None) first and half way."""
    numbers = list(range(count))
    random.Random(number).shuffle(numbers)
    half = count // 2
    return [None] + numbers[:half] + [None] + numbers[half:]


def words(setting):
    """A setting as people write it; {} is what was there before."""
    if not setting:
        return 'as it is'
    return ','.join(f'{name}={value}' for name, value in setting.items())
