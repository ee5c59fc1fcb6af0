# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Real VFIO without hardware: QEMU inside a machine that QEMU emulates.

L0  QEMU on this machine: an IOMMU and NVMe controllers, under TCG
L1  Linux in it: gives the controllers to VFIO; the QEMU under test runs here
L2  what the QEMU under test runs, with the controllers passed through
"""

import os

from .. import ROOT

FOLDER = os.path.join(ROOT, 'tests', 'nested')

# Deadlines in seconds: generous, since they only end what hangs
L2_START = 300
L2_LINUX = 1800

PORTS = 10      # runs of L2 in one L1: a virtio-serial device has ports for 10
