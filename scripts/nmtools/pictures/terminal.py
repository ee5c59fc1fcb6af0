# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A page of a terminal as a picture, and how it is recorded."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

from . import NOTE, escape, read_lines
from .. import ToolError

PAGE = '\033[H'                 # screen.py begins each page like this
OTHER = re.compile(r'\033\[(?:\?[0-9]+[hl]|[0-9;]*[A-LN-Za-ln-z])')
STYLE = re.compile(r'\033\[([0-9;]*)m')
PAPER, INK = '#1e1e1e', '#d4d4d4'
COLOURS = {'31': '#f48771', '32': '#89d185', '33': '#e5c07b', '36': '#4ec9b0',
           '2': '#8a8a8a'}
SIZE, WIDE, HIGH, EDGE = 13, 7.85, 18, 14
SECONDS = 120


def last_page(output):
    """Of what was written to the terminal: lines with their colours."""
    page = output.replace('\r\n', '\n').split(PAGE)[-1]
    return [OTHER.sub('', line) for line in page.split('\n')]


def record(program, arguments, size=(96, 12)):
    """Run a tool in a terminal of so many columns and lines, to its end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ,
                struct.pack('HHHH', size[1], size[0], 0, 0))
    child = subprocess.Popen([program, *arguments], stdin=slave, stdout=slave,
                             env={**os.environ, 'TERM': 'xterm'})
    os.close(slave)
    output = b''
    try:
        while data := os.read(master, 65536):
            output += data
    except OSError:
        pass                    # how Linux tells that the other side is closed
    os.close(master)
    if child.wait(SECONDS):
        raise ToolError(f'{program} ended with status {child.returncode}')
    return last_page(output.decode('utf-8', 'replace'))


def _style(codes):
    words = [f'fill="{COLOURS[code]}"' for code in codes if code in COLOURS]
    return ' '.join(words + ['font-weight="bold"'] * ('1' in codes))


def _line(text):
    """Parts of a line, those with a colour in a tspan of their own."""
    out, codes = [], []
    for place, part in enumerate(STYLE.split(text)):
        if place % 2:
            codes = [] if part in ('', '0') else codes + part.split(';')
        elif part:
            style = _style(codes)
            out.append(f'<tspan {style}>{escape(part)}</tspan>' if style
                       else escape(part))
    return ''.join(out)


def draw(source):
    lines = [line.replace('^[', '\033') for line in read_lines(source)]
    while lines and not lines[-1].strip():
        lines.pop()
    columns = max(len(STYLE.sub('', line)) for line in lines)
    width = round(columns * WIDE + 2 * EDGE)
    height = len(lines) * HIGH + 2 * EDGE
    rows = ''.join(
        f'<text x="{EDGE}" y="{EDGE + SIZE + number * HIGH}" '
        f'xml:space="preserve">{_line(line)}</text>\n'
        for number, line in enumerate(lines) if line.strip())
    return (f'<?xml version="1.0" encoding="utf-8"?>\n'
            f'{NOTE.format(source=source)}'
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}">\n'
            f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>\n'
            f'<g font-family="monospace" font-size="{SIZE}" fill="{INK}">\n'
            f'{rows}</g>\n</svg>\n')
