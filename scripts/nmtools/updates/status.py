# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What scripts/base-status has found, as JSON: reads a paragraph of "KEY VALUE"
lines for each base from standard input."""

import json
import sys

LISTS = ('looked_in', 'cves', 'less_context')
WORDS = {'0': 'up to date', '1': 'error', '3': 'later, applies',
         '4': 'later, does not apply'}


def value_of(key, text):
    if key in LISTS:
        return text.split()
    if key == 'status':
        return WORDS[text]
    if key == 'applies':
        return {'true': True, 'false': False}.get(text)
    return text or None


def paragraph(text):
    pairs = (line.partition(' ') for line in text.splitlines())
    return {key: value_of(key, value.strip()) for key, _, value in pairs}


def main():
    found = [paragraph(part) for part in sys.stdin.read().split('\n\n')
             if part.strip()]
    print(json.dumps(found, indent=2))


if __name__ == '__main__':
    main()
