# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Guests with a TPM: swtpm, firmware, and the tests of it."""
