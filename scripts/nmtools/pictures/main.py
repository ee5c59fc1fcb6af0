# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""scripts/pictures: make them, or tell whether they are what would be made."""

import argparse
import os

from .. import ToolError, command, picture
from ..base import ROOT
from . import plot, terminal

PROGRAM = 'pictures'
FOLDER = os.path.join('docs', 'img')
TOP = 'iothread-top.txt'
# Name: the file that it is made from, who draws it, and how kept and made are
# compared
PICTURES = {
    'latency-cpu.svg': ('latency-cpu.csv', plot.draw, plot.same),
    'iothread-top.svg': (TOP, terminal.draw, str.__eq__),
}
LARGEST = 60000         # bytes, so that a page is quickly there
RECORDED = '''\
# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
# What scripts/iothread-top wrote to a terminal; ^[ is the escape character.
# Recorded by scripts/pictures --record MONITOR
'''


def parser():
    made = command.Parser(
        prog=PROGRAM, formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Makes the pictures of the pages in docs/img, each from '
        'the file of\nfigures or text beside it.',
        epilog='''examples:
  scripts/pictures
  scripts/pictures --check
  scripts/pictures --record /run/vm1.qmp''')
    made.add_argument('--check', action='store_true',
                      help='change nothing; status 1 if a kept picture is not '
                      'what would be made')
    made.add_argument('--record', metavar='MONITOR', type=command.address,
                      help='first run iothread-top on this VM, and keep what '
                      'it shows for the picture of it; ' + command.ADDRESS_HELP)
    return made


def read(path):
    try:
        with open(path, encoding='utf-8') as file:
            return file.read()
    except FileNotFoundError:
        return ''


def record(monitor):
    tool = os.path.join('scripts', 'iothread-top')
    lines = terminal.record(tool, ['-n', '5', monitor])
    with open(os.path.join(FOLDER, TOP), 'w', encoding='utf-8') as file:
        file.write(RECORDED + '\n'.join(
            line.replace('\033', '^[') for line in lines).rstrip() + '\n')


def make(name, check):
    """True if the picture is as it should be."""
    source, draw, same = PICTURES[name]
    path = os.path.join(FOLDER, name)
    made = draw(os.path.join(FOLDER, source))
    if len(made.encode()) > LARGEST:
        raise ToolError(f'{path} would have more than {LARGEST} bytes; leave '
                        f'something out of {source}')
    kept = read(path)
    if check:
        good = same(kept, made)
        print(f'{path}: ' + ('as made' if good else
                             'differs; run scripts/pictures'))
        return good
    if kept != made:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(made)
    print(f'{path}: ' + ('as it was' if kept == made else 'written'))
    return True


def work(options):
    if not picture.available():
        raise ToolError('pictures need the package python3-matplotlib; run '
                        'scripts/setup --groups test')
    os.chdir(ROOT)
    if options.record:
        record(options.record)
    return 0 if all([make(name, options.check) for name in PICTURES]) else 1


def main():
    options = parser().parse_args()
    return command.run(PROGRAM, lambda: work(options))
