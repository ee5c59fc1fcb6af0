# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The tools of scripts/ that are written in Python: a package for each theme,
and what they share.

But for the benchmarks they need Python and nothing else of this project, built
or not, so that a clone on the host of the VMs is enough."""


class ToolError(Exception):
    """A failure that one line explains, with the remedy; LOG is what tells
    more, such as the last lines of a guest's console."""
    status = 1          # of the program that ends with it

    def __init__(self, text, log=''):
        super().__init__(text)
        self.log = log


class WrongArgument(ToolError):
    """One that the arguments alone tell, whatever VM there is."""
    status = 2
