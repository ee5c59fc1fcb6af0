# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Pictures, drawn by matplotlib, which not every machine has."""

import importlib

from . import ToolError

FORMATS = ('.svg', '.png')


def available():
    try:
        import matplotlib
        matplotlib.use('Agg')
        importlib.import_module('matplotlib.pyplot')
    except (ImportError, OSError):
        return False
    return True


def check():
    """Before the long work: can --plot be done at all?"""
    if not available():
        raise ToolError('--plot needs the package python3-matplotlib; '
                        'install it or leave out --plot')


def save(figure, path, **options):
    """Write a figure to its file, and be done with it."""
    from matplotlib import pyplot
    figure.tight_layout()   # with names beside the axes
    try:
        figure.savefig(path, **options)
    except OSError as error:
        raise ToolError(f'{path}: {error.strerror}') from error
    finally:
        pyplot.close(figure)
