# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""host-check: the checks by theme, what a check finds, and the host."""
