# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""As much of Markdown as links and words need: lines with their numbers, what
is code in them, headings and the anchors that web pages make of these."""

import re

FENCE = re.compile(r'\s*(```|~~~)')
SPAN = re.compile(r'(`+)(.+?)\1(?!`)')
HEADING = re.compile(r'#{1,6}\s+(.*?)\s*#*$')
LINK = re.compile(r'!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)')
LABEL = re.compile(r'\[([^\]]*)\]\([^)]*\)')
NAMED = re.compile(r'<a\s+(?:id|name)="([^"]+)"')


def prose(text):
    """(number, line) of what is not in a block of code."""
    fence = None
    for number, line in enumerate(text.split('\n'), 1):
        mark = FENCE.match(line)
        if mark and fence in (None, mark[1]):
            fence = None if fence else mark[1]
        elif not fence:
            yield number, line


def without_code(line):
    return SPAN.sub(lambda span: ' ' * len(span[0]), line)


def spans(line):
    """What stands in backticks."""
    return [span[2].strip() for span in SPAN.finditer(line)]


def links(text):
    for number, line in prose(text):
        for link in LINK.finditer(without_code(line)):
            yield number, link[1]


def anchor(heading):
    """As the well-known hosts of repositories make it."""
    words = LABEL.sub(r'\1', heading).replace('`', '').lower()
    return re.sub(r'[^\w\- ]', '', words).replace(' ', '-')


def anchors(text):
    seen = {}
    for _, line in prose(text):
        yield from NAMED.findall(line)
        heading = HEADING.match(line)
        if heading:
            name = anchor(heading[1])
            count = seen[name] = seen.get(name, -1) + 1
            yield f'{name}-{count}' if count else name
