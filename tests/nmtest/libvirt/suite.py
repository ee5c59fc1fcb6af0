# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The list of cases, and how one is run and judged."""

import time

from nmtools import ToolError

from . import Unmet
from .daemons import Refused

CASES = []


class Case:
    """A snippet of the guide with the function that tries it."""

    def __init__(self, name, section, snippet, function):
        self.name, self.section = name, section
        self.snippet, self.function = snippet, function


class Result:
    """What became of a case."""

    def __init__(self, case, status, why, seconds):
        self.case, self.status, self.why = case, status, why
        self.seconds, self.log, self.measured = seconds, '', []

    @property
    def failed(self):
        return self.status == 'fails'

    def as_dict(self):
        return {'case': self.case.name, 'section': self.case.section,
                'snippet': self.case.snippet, 'result': self.status,
                'why': self.why, 'measured': self.measured,
                'seconds': round(self.seconds, 1)}


def case(name, section, snippet):
    """Decorates FUNCTION(env), which returns what it saw."""
    def add(function):
        CASES.append(Case(name, section, snippet, function))
        return function
    return add


def expect(seen, wanted, what):
    """The effect, or an error that tells both."""
    if seen != wanted:
        raise ToolError(f'{what} is {seen}, not {wanted}')


def check(good, text):
    if not good:
        raise ToolError(text)


def refused(function, words):
    """libvirt must refuse with these words; its text on one line."""
    try:
        function()
    except Refused as error:
        if words in str(error):
            return str(error)
        raise
    raise ToolError(f"it was accepted, though '{words}' was expected")


def run_case(entry, env):
    started = time.monotonic()
    status, why, log = 'works', '', ''
    measured = env.measured = []
    try:
        why = entry.function(env)
    except Unmet as error:
        status, why = error.kind, str(error)
    except (ToolError, OSError, ValueError, KeyError, IndexError) as error:
        status, log = 'fails', getattr(error, 'log', '')
        why = str(error) if isinstance(error, ToolError) \
            else f'{type(error).__name__}: {error}'
    finally:
        env.clean()
    result = Result(entry, status, why, time.monotonic() - started)
    result.log, result.measured = log, measured
    return result
