# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What differs between two answers to a command line, and the list of what may."""

import re
from collections import Counter, namedtuple

from nmtools import ToolError

Rule = namedtuple('Rule', 'sign pattern when text')
SIGNS = '+-!'
# What stock starts must start; what it refuses may start; what it is killed for
# may be refused
MENDED = ('-> started, 0', 'killed by SIGABRT -> ended, 1',
          'killed by SIGSEGV -> ended, 1')


def differences(stock, ours):
    """Pairs of a sign and a text: - only stock says it, + only ours, ! the
    ends differ."""
    if stock.state != ours.state:
        yield '!', f'{stock.state} -> {ours.state}'
    old, new = Counter(stock.out), Counter(ours.out)
    for sign, more in (('-', old - new), ('+', new - old)):
        for text in more:
            if text.strip():
                yield sign, text


def read_rules(name):
    """Rules of the file: 'SIGN PATTERN', for all lines of the block 'when
    PATTERN' if it begins so; blocks end at an empty line."""
    rules, when = [], None
    with open(name, encoding='utf-8') as file:
        for number, text in enumerate(file, 1):
            text = text.rstrip('\n')
            word, _, pattern = text.partition(' ')
            if not text:
                when = None
            elif text.startswith('#'):
                continue
            elif word == 'when':
                when = re.compile(pattern)
            elif word == '!' and not (when and pattern.endswith(MENDED)):
                raise ToolError(f'{name}, line {number}: only for named lines '
                                f'may the end differ, by {" or ".join(MENDED)}')
            elif len(word) == 1 and word in SIGNS:
                rules.append(Rule(word, re.compile(pattern), when, text))
            else:
                raise ToolError(f'{name}, line {number}: no rule: {text}')
    return rules


def rule_for(rules, sign, text, line):
    """The first rule that allows a difference, or None."""
    words = ' '.join(line.args)
    for rule in rules:
        if (rule.sign == sign and rule.pattern.fullmatch(text)
                and (rule.when is None or rule.when.search(words))):
            return rule
    return None
