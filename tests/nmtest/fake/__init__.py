# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Made-up hosts and QEMUs for the tools of scripts/."""
