# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""iothread-top and iothread-tune: IOThreads of a running QEMU over QMP."""
