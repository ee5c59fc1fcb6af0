# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""measured-boot: a machine with swtpm, its registers and its event log."""
