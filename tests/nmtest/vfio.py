# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The stand-in for the kernel's VFIO, to be preloaded into QEMU; how devices
are described stands in tests/qtest/passthrough/vfio-standin.h."""

import glob
import os
import shutil
import subprocess

from nmtools import ToolError

from . import ROOT
from .testing import Skip


def make_library(folder):
    """The stand-in for VFIO; VFIO_STANDIN_LIB names one that is there."""
    if os.environ.get('VFIO_STANDIN_LIB'):
        return os.environ['VFIO_STANDIN_LIB']
    sources = glob.glob(os.path.join(ROOT, 'tests', 'qtest', 'passthrough',
                                     'vfio-standin*.c'))
    if not sources:
        raise ToolError('there is no stand-in for VFIO in '
                        'tests/qtest/passthrough')
    compiler = shutil.which('cc') or shutil.which('gcc')
    if not compiler:
        raise Skip('no C compiler for the stand-in for VFIO; run '
                   'scripts/setup')
    library = os.path.join(folder, 'libvfio-standin.so')
    done = subprocess.run(
        [compiler, '-shared', '-fPIC', '-std=gnu11', '-D_GNU_SOURCE', '-o',
         library, *sources, '-ldl', '-lpthread'],
        capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError('the stand-in for VFIO cannot be built: '
                        + (done.stderr.strip() or 'no reason').split('\n')[0])
    return library
