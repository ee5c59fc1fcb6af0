# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Libraries that stand between a program and the kernel, compiled by tests."""

import contextlib
import os
import shutil

from .built import output_of
from .testing import Skip


def make_shim(folder, source, name='shim'):
    """Compile C into a library; its path."""
    compiler = shutil.which('cc') or shutil.which('gcc')
    if not compiler:
        raise Skip('no C compiler')
    path, library = (os.path.join(folder, f'{name}{end}')
                     for end in ('.c', '.so'))
    with open(path, 'w', encoding='ascii') as file:
        file.write(source)
    code, _, err = output_of(compiler, '-D_GNU_SOURCE', '-shared', '-fPIC',
                             '-o', library, path, '-lpthread', '-ldl')
    if code:
        raise Skip(f'the compiler fails: {err.strip()}')
    return library


@contextlib.contextmanager
def preloaded(library, **variables):
    """Programs that are started meanwhile have the library."""
    os.environ.update(variables, LD_PRELOAD=library)
    try:
        yield
    finally:
        for name in ('LD_PRELOAD', *variables):
            os.environ.pop(name, None)
