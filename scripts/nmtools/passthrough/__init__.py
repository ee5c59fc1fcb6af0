# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""msix-check: should a device's MSI-X table be relocated?"""
