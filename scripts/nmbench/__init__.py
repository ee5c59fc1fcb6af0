# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The benchmark of IOThreads: what scripts/bench is made of."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


class BenchError(Exception):
    """One line for the user: what is wrong, and the remedy."""
    status = 1          # of the program that ends with it


class WrongArgument(BenchError):
    """One that the arguments alone tell."""
    status = 2
