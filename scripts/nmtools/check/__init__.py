# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What scripts/check asks of the pages: links, and words.  Each module reads
the names of the project's files, a line each, from standard input, prints what
it finds, and ends with status 1 if that is anything."""

import os
import sys


def read(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def run(findings):
    """FINDINGS(files) yields a line for each fault."""
    files = [name for name in sys.stdin.read().split('\n')
             if os.path.isfile(name)]
    found = list(findings(files))
    for line in found:
        print(line)
    return 1 if found else 0
