# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The pictures of the pages: SVG files, each made from a file beside it."""

import html

from .. import ToolError

NOTE = '''<!-- SPDX-License-Identifier: GPL-2.0-or-later -->
<!-- SPDX-FileCopyrightText: nearmetal contributors -->
<!-- Made by scripts/pictures from {source}; do not edit. -->
'''


def escape(text):
    return html.escape(text, quote=False)


def read_lines(path):
    """Its lines; those that begin with # say where they are from."""
    try:
        with open(path, encoding='utf-8') as file:
            lines = file.read().split('\n')
    except OSError as error:
        raise ToolError(f'{path}: {error.strerror}') from error
    return [line for line in lines if not line.startswith('#')]
