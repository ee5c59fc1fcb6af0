# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The distribution's own QEMU, to compare with."""

import os
import subprocess

from nmtools import ToolError

FETCH = os.path.join(os.path.dirname(__file__), 'fetch')


def fetched(*options):
    """Folder of the distribution's packages, unpacked; 'run' has starters of
    the emulators.  With --running those of the running release."""
    done = subprocess.run([FETCH, *options], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise ToolError(done.stderr.strip())
    return done.stdout.strip()
