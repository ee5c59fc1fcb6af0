# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The benchmarks of IOThreads: bench and measure-cost."""

from pathlib import Path

from .. import base

ROOT = Path(base.ROOT)
