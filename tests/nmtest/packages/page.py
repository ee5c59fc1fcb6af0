# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The commands of docs/deploy.md, as they stand there."""

import os
import re

from .. import ROOT

PAGE = os.path.join(ROOT, 'docs', 'deploy.md')


def section(heading):
    with open(PAGE, encoding='utf-8') as file:
        text = file.read()
    found = re.search(rf'^## {re.escape(heading)}\n(.*?)(?=^## |\Z)', text,
                      re.M | re.S)
    if not found:
        raise LookupError(f'{PAGE} has no section {heading}')
    return found[1]


def commands(heading):
    """One after the other; a line that is no prompt continues the one before."""
    found = []
    for block in re.findall(r'^```sh\n(.*?)^```', section(heading),
                            re.M | re.S):
        for line in block.split('\n'):
            prompt = re.match(r'[#$] (.*)', line)
            if prompt:
                found.append(prompt[1])
            elif re.match(r'      |  done', line) and found:
                found[-1] += '\n' + line
    return found
