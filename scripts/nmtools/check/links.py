# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Links of the pages to files and anchors of this repository, and the files
that pages, scripts and messages name.  Nothing is asked of a network."""

import functools
import glob
import itertools
import os
import re
import sys

from . import markdown, read, run

# Folders whose files are named by their path from the top; hw/ alone is
# QEMU's, too
ROOTS = ('scripts', 'docs', 'tests', 'patches', 'packaging', 'bases',
         'iothread-tuning', '.ci', 'hw/settings', 'hw/passthrough', 'hw/tpm',
         'hw/topology', 'hw/common', 'hw/qapi')
NAMED = re.compile(r'(?:%s)/[^\s`"\']+' % '|'.join(map(re.escape, ROOTS)))
# Pages that comments and messages name
PAGE = re.compile(r'(?<![\w/.$-])docs/[\w/-]+\.md\b')
SCHEME = re.compile(r'[a-z][a-z0-9+.-]*:')
# What scripts/prepare makes in QEMU's tree
IN_QEMU = ('tests/qtest/nearmetal',)
# hw/THEME, poll-NAME.c, patches/<base>
PLACEHOLDER = re.compile(r'[<>…$]|\.\.\.|(?:^|[/.-])[A-Z]{2,}(?:[/.-]|$)')


@functools.lru_cache(None)
def anchors_of(path):
    return set(markdown.anchors(read(path)))


def braces(path):
    """a/{b,c}/d is a/b/d and a/c/d."""
    parts = [part[1:-1].split(',') if part.startswith('{') else [part]
             for part in re.split(r'(\{[^}]*\})', path)]
    return [''.join(choice) for choice in itertools.product(*parts)]


def broken_link(page, target):
    """What is wrong with it, or None."""
    if SCHEME.match(target):
        return None
    name, _, anchor = target.partition('#')
    path = os.path.normpath(os.path.join(os.path.dirname(page), name)) \
        if name else page
    if not os.path.exists(path):
        return f'there is no {path}'
    if anchor and (not path.endswith('.md')
                   or anchor not in anchors_of(path)):
        return f'{path} has no heading for #{anchor}'
    return None


def missing_files(span):
    """Files of ours that a word in backticks names, and that are not there."""
    match = NAMED.match(span)
    if not match:
        return []
    path = match[0].rstrip('.,;:')
    if PLACEHOLDER.search(path) or path.startswith(IN_QEMU):
        return []
    return [one for one in braces(path) if not glob.glob(one)]


def page_findings(page):
    text = read(page)
    for number, target in markdown.links(text):
        wrong = broken_link(page, target)
        if wrong:
            yield f'{page}:{number}: link to {target}: {wrong}'
    for number, line in markdown.prose(text):
        for span in markdown.spans(line):
            for path in missing_files(span):
                yield f'{page}:{number}: names {path}, which does not exist'


def other_findings(path):
    for number, line in enumerate(read(path).split('\n'), 1):
        for page in PAGE.findall(line):
            if not os.path.isfile(page):
                yield f'{path}:{number}: names {page}, which does not exist'


def findings(files):
    for path in files:
        yield from (page_findings if path.endswith('.md')
                    else other_findings)(path)


if __name__ == '__main__':
    sys.exit(run(findings))
