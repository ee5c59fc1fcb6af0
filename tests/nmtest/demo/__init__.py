# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""scripts/demo, and what the tests of IOThreads take from it."""
