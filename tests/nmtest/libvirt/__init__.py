# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The best-practice guide's settings, given to QEMU by a real libvirt."""

# Deadlines in seconds: generous, since they only end what hangs.
START_DEADLINE = 120
COMMAND_DEADLINE = 180


class Unmet(Exception):
    """The case did what it can here; KIND says whom the rest is up to."""

    def __init__(self, kind, reason):
        super().__init__(reason)
        self.kind = kind


def host_cannot(reason):
    """This machine lacks what the setting needs."""
    return Unmet('host cannot', reason)


def libvirt_refuses(reason):
    """Stock libvirt does not take the guide's text; what it says."""
    return Unmet('libvirt refuses', reason)
