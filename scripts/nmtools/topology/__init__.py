# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""topology-report: the CPU topology that a VM was given and its guest sees."""
