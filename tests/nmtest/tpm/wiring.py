# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The test behind long-tpm-wiring: what Linux finds of tpm-tis-device's
Physical Presence Interface and of its interrupt on the machine virt."""

import os
import re
import secrets

from nmtools.tpm.machine import find_firmware

from ..testing import run
from .esp import esp_options, make_esp
from .guest import (DEADLINE, Guest, direct_options, need_tpm_guest,
                    tpm_folder, words)

ARCH = 'aarch64'
DEVICE = 'tpm-tis-device'
PPI = DEVICE + ',ppi=on'
PPI_REGION = re.compile(r'^\s*([0-9a-f]{16})-[0-9a-f]{16} .*: tpm-ppi\b',
                        re.MULTILINE)
MOVV = 0x15a        # in the interface's page: memory overwrite at the reset
# Each time the guest has acknowledged the interrupt
LOWERED = 'tpm_tis_mmio_write_lowering_irq'
ROUNDS = 3
# Older ones ask for the interrupt and then never test it, since they forget
# to set a flag: "TPM interrupt not working, polling instead"
WORKING_KERNEL = (6, 4)


class Tester:
    """What the parts of the test share."""

    def __init__(self, checks, qemu, folder):
        self.check = checks.check
        self.qemu, self.folder = qemu, folder
        self._count = 0

    def guest(self, device, extra=(), firmware=True, machine=''):
        self._count += 1
        code = find_firmware(ARCH) if firmware else None
        return Guest(self.qemu, ARCH, self.folder, f'guest{self._count}',
                     device=device, machine=machine, firmware=code,
                     extra=extra)

    # --- Physical Presence Interface ----------------------------------------

    def ppi_address(self):
        """Where the machine has the interface's page."""
        with self.guest(PPI, ['-S'], firmware=False) as guest:
            tree = guest.cmd('human-monitor-command',
                             **{'command-line': 'info mtree'})
            guest.boot.quit()
        found = PPI_REGION.search(tree)
        return int(found[1], 16) if found else None

    def presence(self):
        """Off unless asked for, and Linux finds it by ACPI."""
        for device, wanted in ((PPI, '1.3'), (DEVICE, 'none')):
            with self.guest(device, direct_options(ARCH)) as guest:
                printed = guest.wait_rounds(1)
                self.check(printed.facts('ppi') == [wanted],
                           f'{device}: the version of the interface in the '
                           f'guest is {wanted}', printed.facts('ppi'))
                shown = guest.cmd('query-tpm')[0].get('ppi')
                self.check(shown is (wanted != 'none'),
                           f'{device}: query-tpm says the same', shown)
                guest.boot.quit()

    def reset_keeps(self, more, mark):
        """Is a word of the guest's command line still in its memory after a
        reset?  Then the guest boots anew, with the same registers."""
        esp = os.path.join(self.folder, f'esp{self._count}')
        make_esp(ARCH, esp, words(ARCH, f'nm.mark={mark} {more}'.strip()))
        with self.guest(PPI, esp_options(esp)) as guest:
            printed = guest.wait_rounds(1)
            before = printed.registers()
            self.check(printed.facts('movv') == (['1'] if more else []),
                       'the guest has asked as it should',
                       printed.facts('movv'))
            guest.cmd('stop')
            guest.cmd('system_reset')
            # The machine stands still, so nobody writes after the reset
            guest.boot.wait(lambda: guest.boot.qmp.named('RESET'), DEADLINE,
                            'the reset')
            kept = self.in_memory(guest, mark)
            guest.cmd('cont')
            after = guest.wait_rounds(1, 2, DEADLINE).registers()
            self.check(after == before,
                       'the registers are the same after the reset')
            guest.boot.quit()
        return kept

    @staticmethod
    def in_memory(guest, mark):
        path = guest.boot.memory_image()
        try:
            with open(path, 'rb') as file:
                return mark.encode() in file.read()
        finally:
            os.unlink(path)

    def overwrite(self):
        """The guest sets the byte itself: Linux calls no _DSM for that."""
        address = self.ppi_address()
        self.check(address is not None, 'the machine has the interface')
        if address is None:
            return
        mark = secrets.token_hex(16)
        self.check(self.reset_keeps('', mark), 'memory is kept over a reset')
        mark = secrets.token_hex(16)
        self.check(not self.reset_keeps(f'nm.movv={address + MOVV:#x}', mark),
                   'memory is overwritten at a reset if the guest has asked '
                   'for that')

    # --- interrupt ----------------------------------------------------------

    def handled(self, device, acpi):
        """What the guest printed, and how often it acknowledged the
        interrupt."""
        log = os.path.join(self.folder, f'trace{self._count}')
        extra = [*direct_options(ARCH, 'nm.interrupts'),
                 '-trace', f'enable={LOWERED}', '-D', log]
        with self.guest(device, extra, firmware=acpi,
                        machine='' if acpi else ',acpi=off') as guest:
            printed = guest.wait_rounds(ROUNDS)
            guest.boot.quit()
        try:
            with open(log, encoding='utf-8') as file:
                return printed, sum(LOWERED in line for line in file)
        except FileNotFoundError:
            return printed, 0

    def interrupt(self, acpi):
        where = 'ACPI' if acpi else 'device tree'
        printed, count = self.handled(DEVICE, acpi)
        self.check(count == 0 and set(printed.facts('interrupts')) == {'none'},
                   f'{where}: no interrupt unless asked for',
                   f'{count} acknowledged, {printed.facts("interrupts")}')
        printed, count = self.handled(DEVICE + ',interrupt=on', acpi)
        self.check(count > 0, f'{where}: the interrupt gets to the driver of '
                   'the guest')
        counts = printed.facts('interrupts')[:ROUNDS]
        kernel = tuple(map(int, re.findall(r'\d+', printed.facts('kernel')[0]
                                           )[:2]))
        if kernel >= WORKING_KERNEL:
            self.check(all(one.isdigit() for one in counts)
                       and counts == sorted(set(counts), key=int),
                       f'{where}: more interrupts with each round of commands',
                       counts)


def test(checks):
    qemu = need_tpm_guest(ARCH)
    with tpm_folder() as folder:
        tester = Tester(checks, qemu, folder)
        tester.presence()
        tester.overwrite()
        for acpi in (True, False):
            tester.interrupt(acpi)


def main():
    run('Looks from an aarch64 guest at Physical Presence Interface and '
        'interrupt of a TPM.', test)
