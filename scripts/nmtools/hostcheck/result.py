# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What a check finds."""

import shlex
from dataclasses import dataclass, field

PASS, WARN, FAIL, SKIP = 'PASS', 'WARN', 'FAIL', 'SKIP'
TRUE = ('1', 'y', 'Y', 't', 'T', 'on', 'On', 'ON', 'yes')


@dataclass
class Result:
    """VALUE is what was found, or why nothing was; FIX are shell commands."""
    status: str
    value: str
    remedy: str = ''
    fix: list = field(default_factory=list)
    subject: str = ''
    data: dict = None
    check: str = ''


def passed(value, subject='', data=None):
    return Result(PASS, value, subject=subject, data=data)


def warn(value, remedy, *fix, subject='', data=None):
    return Result(WARN, value, remedy, list(fix), subject, data)


def failed(value, remedy, *fix, subject=''):
    return Result(FAIL, value, remedy, list(fix), subject)


def skipped(reason, subject='', remedy=''):
    return Result(SKIP, reason, remedy, subject=subject)


def write(value, path):
    """The command that sets a file of the kernel."""
    return f'echo {shlex.quote(str(value))} > {shlex.quote(path)}'


def count(number, noun):
    return f'{number} {noun}' + ('' if number == 1 else 's')
