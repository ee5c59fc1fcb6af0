# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The packages, tried as an operator would: installed, used, updated, removed."""
