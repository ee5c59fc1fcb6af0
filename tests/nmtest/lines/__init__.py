# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Command lines of QEMU from elsewhere, for test-command-lines."""
