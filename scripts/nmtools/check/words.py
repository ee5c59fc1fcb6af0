# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""One word for one thing: docs/glossary.md says which words are not used, and
why; here they are looked for in the pages, in what -h prints and in messages
of the scripts."""

import ast
import re
import sys

from . import markdown, read, run

GLOSSARY = 'docs/glossary.md'
# Has the words of the guide that it tries, and is made by scripts/test-libvirt
OTHERS = ('docs/guide.md', GLOSSARY)
ROW = re.compile(r'\| \*\*(.+?)\*\* \|.*\| ([^|]*) \|$')
HERE = re.compile(r"<<-?\s*'?(\w+)'?\s*$")


def replaced():
    """[(pattern, the word to use)], from the last column of the tables."""
    found = []
    for _, line in markdown.prose(read(GLOSSARY)):
        row = ROW.match(line)
        for word in row[2].split(', ') if row else ():
            if word.strip():
                found.append((re.compile(
                    r'(?<![\w/.-])%ss?(?![\w/=-]|\.\w)' % re.escape(word)),
                    row[1]))
    return found


def page_lines(text):
    for number, line in markdown.prose(text):
        line = markdown.LABEL.sub(r'\1', markdown.without_code(line))
        yield number, re.sub(r'<[^>]*>', ' ', line)


def python_lines(text):
    """Strings of more than a word: what people read."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) \
                and ' ' in node.value:
            yield from enumerate(node.value.split('\n'), node.lineno)


def shell_lines(text):
    """What is printed as it stands: -h."""
    end = None
    for number, line in enumerate(text.split('\n'), 1):
        if line == end:
            end = None
        elif end:
            yield number, line
        elif line.lstrip().startswith('cat <<') and HERE.search(line):
            end = HERE.search(line)[1]


def lines_of(path):
    """Those that people read, or nothing."""
    if path.endswith('.md'):
        return page_lines(read(path))
    if not path.startswith('scripts/'):
        return ()
    text = read(path)
    if path.endswith('.py') or text.startswith('#!/usr/bin/python3'):
        return python_lines(text)
    return shell_lines(text) if text.startswith('#!/bin/sh') else ()


def findings(files):
    words = replaced()
    if not words:
        yield f'{GLOSSARY} has no table with words that are not used'
    for path in files:
        if path in OTHERS:
            continue
        for number, line in lines_of(path):
            for pattern, better in words:
                for wrong in pattern.findall(line):
                    yield f'{path}:{number}: {wrong!r}, say {better}'


if __name__ == '__main__':
    sys.exit(run(findings))
