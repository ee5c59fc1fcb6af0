# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The cases, a module for some chapters of the guide each; they run in the
order of these imports."""

# pylint: disable=unused-import
from . import hostonly, objects, iothread, disk, memory, cpu    # noqa: F401
from . import hostdev, tpm, security, density, migration        # noqa: F401
from ..suite import CASES                                       # noqa: F401
