# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What the demo and the tests share, at the top a small guest and its tools.
"""

import os
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__),
                                     '..', '..'))
if os.path.join(ROOT, 'scripts') not in sys.path:
    sys.path.insert(0, os.path.join(ROOT, 'scripts'))

from nmtools.base import build_dir                              # noqa: E402

ARCHES = ('x86_64', 'aarch64')

# Deadlines in seconds: generous, since they only end what hangs.
BOOT_DEADLINE = 240
COMMAND_DEADLINE = 120
QMP_DEADLINE = int(os.environ.get('NEARMETAL_QMP_DEADLINE') or 60)


def qemu_binary(arch, obj='obj'):
    """The QEMU that scripts/build makes for a target."""
    return build_dir(obj, f'qemu-system-{arch}')


def shown(path):
    """A path as shown to the user: relative to the project where it can."""
    path = os.path.abspath(path)
    if path.startswith(ROOT + os.sep):
        return os.path.relpath(path, ROOT)
    return path
