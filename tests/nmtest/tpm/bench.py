# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""How long PCR_Read takes in a guest, and its trapped accesses: TIS and CRB."""

import argparse
import json
import os
import re
import subprocess
import sys

from nmtools import ToolError, table
from nmtools.tpm.machine import find_firmware

from .. import ARCHES, session
from ..kit import find_qemu
from .esp import make_tpm_kit
from .guest import BOOT, Guest, direct_options, tpm_folder

PROGRAM = 'bench-tpm'
DEVICES = {'x86_64': ('tpm-tis', 'tpm-crb'),
           'aarch64': ('tpm-tis-device', 'tpm-crb-device')}
# Trace points at each trapped access of the machine; those of a TPM have its
# name at the end.  The TPM's own ones leave out a CRB's buffer
TRACES = 'memory_region_ops_read,memory_region_ops_write'
TRACED = re.compile(rb"\bmemory_region_ops_(?:read|write) .*'tpm-")
RESULT = re.compile(r'nearmetal-tpm: bench (?:none|(\d+) (\d+))\n')
HEADS = ('ARCH', 'DEVICE', 'READS', 'US PER READ', 'ACCESSES PER READ')


def parse():
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument('--arch', choices=ARCHES, default='aarch64')
    parser.add_argument('--qemu', metavar='PATH',
                        help='run this binary instead of building ours')
    parser.add_argument('--reads', type=int, default=1000, metavar='N',
                        help='from 200 to 1000000, in hundreds (default: '
                             '1000)')
    parser.add_argument('--json', action='store_true',
                        help='print the results as JSON')
    options = parser.parse_args()
    if not 200 <= options.reads <= 1000000:
        parser.error(f'--reads must be from 200 to 1000000, '
                     f'not {options.reads}')
    return options


def has_device(qemu, name):
    """Does this QEMU have such a device?  --qemu may name a stock one."""
    done = subprocess.run([qemu, '-machine', 'none', '-device', 'help'],
                          check=False, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    return f'"{name}"' in done.stdout


def bench(qemu, arch, device, reads, trace=False):
    """(reads, nanoseconds of the guest, accesses) of one guest."""
    with tpm_folder() as folder:
        log = os.path.join(folder, 'trace')
        extra = direct_options(arch, f'nm.bench={reads}')
        if trace:
            for name in TRACES.split(','):
                extra += ['-trace', f'enable={name}']
            extra += ['-D', log]
        # Linux finds a CRB of Arm with ACPI only, which firmware brings
        firmware = find_firmware(arch) if arch == 'aarch64' else None
        with Guest(qemu, arch, folder, device=device, proxy=False,
                   firmware=firmware, extra=extra) as guest:
            guest.boot.wait(lambda: RESULT.search(guest.boot.text()), BOOT,
                            f'{reads} reads of a register')
            guest.boot.quit()
            found = RESULT.search(guest.boot.text())
            if not found[1]:
                raise ToolError(f'{device}: the guest finds no TPM')
            done, spent = map(int, found.groups())
        accesses = 0
        if trace:
            with open(log, 'rb') as file:
                accesses = sum(1 for line in file if TRACED.search(line))
    return done, spent, accesses


def measure(qemu, arch, device, reads):
    """A row.  The accesses are the difference between two runs, so that those
    of the boot do not count."""
    done, spent, _ = bench(qemu, arch, device, reads)
    few = bench(qemu, arch, device, 100, trace=True)
    many = bench(qemu, arch, device, 200, trace=True)
    accesses = (many[2] - few[2]) / (many[0] - few[0])
    return {'arch': arch, 'device': device, 'reads': done,
            'us-per-read': round(spent / done / 1000, 1),
            'accesses-per-read': round(accesses, 1) or None}


def main():
    options = parse()
    session.end_on_signals()
    try:
        qemu = find_qemu(options.arch, options.qemu)
        make_tpm_kit(options.arch)
        rows = [measure(qemu, options.arch, device, options.reads)
                for device in DEVICES[options.arch]
                if has_device(qemu, device)]
    except ToolError as error:
        session.complain(PROGRAM, error)
        return 1
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print('\n'.join(table.value_lines(
            HEADS, [tuple(row.values()) for row in rows])))
    return 0


if __name__ == '__main__':
    sys.exit(main())
