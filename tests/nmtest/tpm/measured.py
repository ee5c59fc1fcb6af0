# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The test behind test-measured-boot-*: UEFI, GRUB and Debian's kernel measure
themselves into swtpm, and all ways to tell what they did agree."""

import base64
import binascii
import dataclasses
import os
import subprocess

from nmtools import ToolError
from nmtools.tpm import eventlog, machine, pcrs

from ..testing import run
from .esp import esp_options, make_esp, tpm_kit_file
from .guest import DEADLINE, Guest, need_tpm_guest, tpm_folder, words

BANKS = {'sha1', 'sha256'}
REBOOTS = 3
# Where the kernel's EFI stub measures the command line, which not all do
STUB_OPTIONS = b'LOADED_IMAGE::LoadOptions'
# device, added to -machine
SETUPS = {
    'x86_64': (('tpm-tis', ''), ('tpm-crb', '')),
    'aarch64': (('tpm-tis-device', ''), ('tpm-tis-device', ',acpi=off'),
                ('tpm-crb-device', '')),
}
# Linux has no binding for a CRB in the device tree: it finds no TPM, and the
# firmware measures all the same
BLIND = {'x86_64': (), 'aarch64': (('tpm-crb-device', ',acpi=off'),)}


def name_of(setup):
    return setup[0] + (' without ACPI' if 'acpi=off' in setup[1] else '')


# Enough of a log to tell which loader it was
GRUB_LOG = [eventlog.Event(n, 13, {}, b'') for n in (8, 9)]


class Tester:
    """What the parts of the test share."""

    def __init__(self, checks, qemu, arch, folder):
        self.check = checks.check
        self.qemu, self.arch, self.folder = qemu, arch, folder
        self._count = 0

    def guest(self, setup, name, more='', extra=()):
        """A guest that boots from its own copy of the partition."""
        self._count += 1
        esp = os.path.join(self.folder, f'esp{self._count}')
        make_esp(self.arch, esp, words(self.arch, more))
        return Guest(self.qemu, self.arch, self.folder, name,
                     device=setup[0], machine=setup[1],
                     firmware=machine.find_firmware(self.arch),
                     extra=[*esp_options(esp), *extra])

    # --- one boot -----------------------------------------------------------

    def registers(self, guest, where, boot=1):
        """The registers, after the guest and the TPM said the same."""
        printed = guest.wait_rounds(1, boot)
        banks = guest.proxy.registers()
        self.check(set(banks) == BANKS, f'{where}: banks sha1 and sha256',
                   list(banks))
        self.check(printed.registers() == banks,
                   f'{where}: the guest reads what the TPM holds',
                   different(printed.registers(), banks))
        return printed, banks

    def table(self, banks, where, module):
        """Registers as in the guide.  A driver that is no module is there in
        time for IMA, which extends register 10."""
        for bank, values in banks.items():
            wrong = [n for n in pcrs.unexpected(values, GRUB_LOG)
                     if module or n != pcrs.IMA]
            self.check(not wrong, f'{where}: {bank}: 0-9 set, 10-16 zero, '
                       '17-22 ff, 23 zero', [f'{n}: {values[n].hex()}'
                                             for n in wrong])

    def log(self, printed, banks, where):
        """The guest's event log, replayed."""
        try:
            data = base64.b64decode(printed.log(), validate=True)
            events = eventlog.parse(data).events
        except (binascii.Error, eventlog.BadLog) as error:
            self.check(False, f'{where}: the guest has an event log', error)
            return []
        told_by = machine.judge(banks, events)
        self.check(set(told_by) == BANKS and not any(told_by.values()),
                   f'{where}: {len(events)} events replayed make the '
                   'registers, in both banks', told_by)
        return events

    def memory(self, guest, banks, events, where):
        """The log that is found from outside is that of the guest."""
        found = machine.read_memory_log(guest.boot, guest.proxy, banks)
        self.check(found is not None, f'{where}: its memory holds a log')
        if found is not None:
            told_by = machine.judge(banks, found)
            self.check(found == events, f'{where}: the log from its memory '
                       'is the same', f'{len(found)} events, not '
                       f'{len(events)}; differs in {told_by}: '
                       f'{eventlog.first_difference(found, events)}')

    def extends(self, guest, banks, where):
        """The commands that passed by make the registers, too."""
        seen = [eventlog.Event(one.pcr, 0, one.digests, b'')
                for one in guest.proxy.extends]
        wrong = machine.judge(banks, seen, range(eventlog.REGISTERS))
        self.check(set(wrong) == BANKS and not any(wrong.values()),
                   f'{where}: its {len(seen)} extend commands make all '
                   'registers', wrong)

    def all_of(self, setup):
        """One boot, seen from all sides; the registers."""
        where = name_of(setup)
        module = self.is_module(setup)
        with self.guest(setup, 'boot') as guest:
            printed, banks = self.registers(guest, where)
            self.table(banks, where, module)
            events = self.log(printed, banks, where)
            self.memory(guest, banks, events, where)
            self.extends(guest, banks, where)
            guest.boot.quit()
        self.tampered(events, banks, where)
        return banks, events

    def is_module(self, setup):
        """Is the driver of this TPM a module of the kernel?"""
        driver = 'tpm_crb' if 'crb' in setup[0] else 'tpm_tis'
        listing = subprocess.run(
            f"zcat '{tpm_kit_file(self.arch, 'initramfs.cpio.gz')}' | "
            'cpio -it --quiet', shell=True, check=True, text=True,
            capture_output=True).stdout.split()
        return f'modules/{driver}.ko' in listing

    def blind(self, setup):
        """One boot of a guest that finds no TPM, seen from outside."""
        where = name_of(setup)
        with self.guest(setup, 'boot') as guest:
            printed = guest.wait_rounds(1)
            self.check(printed.has('no TPM') and not printed.registers(),
                       f'{where}: Linux finds no TPM', printed.lines[:3])
            banks = guest.proxy.registers()
            self.check(set(banks) == BANKS, f'{where}: banks sha1 and sha256',
                       list(banks))
            self.table(banks, where, True)
            self.extends(guest, banks, where)
            events = machine.read_memory_log(guest.boot, guest.proxy, banks)
            told_by = machine.judge(banks, events or [])
            self.check(set(told_by) == BANKS and not any(told_by.values()),
                       f'{where}: the log in its memory makes the registers',
                       told_by)
            guest.boot.quit()

    # --- the test must be able to fail --------------------------------------

    def tampered(self, events, banks, where):
        """One bit of the log or of a register is enough."""
        number = next((i for i, event in enumerate(events)
                       if event.type != eventlog.EV_NO_ACTION), None)
        if number is None:
            return
        for bank in sorted(banks):
            event = events[number]
            digest = event.digests[bank]
            bad = dataclasses.replace(event, digests={
                **event.digests, bank: bytes([digest[0] ^ 1]) + digest[1:]})
            changed = events[:number] + [bad] + events[number + 1:]
            self.check(machine.judge(banks, changed)[bank] == [event.pcr],
                       f'{where}: {bank}: a changed event is noticed')
            wrong = list(banks[bank])
            wrong[5] = wrong[5][:-1] + bytes([wrong[5][-1] ^ 1])
            self.check(machine.judge({bank: wrong}, events)[bank] == [5],
                       f'{where}: {bank}: a changed register is noticed')

    # --- several boots ------------------------------------------------------

    def reboots(self, setup):
        """The same registers after each reset."""
        with self.guest(setup, 'reboot') as guest:
            _, first = self.registers(guest, 'first boot')
            for number in range(2, REBOOTS + 2):
                guest.cmd('system_reset')
                _, banks = self.registers(guest, f'boot {number}', number)
                self.check(banks == first, f'boot {number}: the registers '
                           'are those of the first', different(first, banks))
            guest.boot.quit()

    def command_line(self, setup, before):
        """One more byte for the kernel: register 8, where GRUB tells it, and 9
        if the kernel's EFI stub measures its options too; no other."""
        with self.guest(setup, 'other', 'x') as guest:
            printed, banks = self.registers(guest, 'other command line')
            events = self.log(printed, banks, 'other command line')
            guest.boot.quit()
        # What IMA extends, where it does, is made of registers 0 to 9
        numbers = [n for n in pcrs.changed(before[0], banks) if n != pcrs.IMA]
        stub = [one for one in events if one.pcr == 9
                and STUB_OPTIONS in one.data]
        wanted = [8, 9] if stub else [8]
        self.check(numbers == wanted, 'one byte on the command line changes '
                   f'register {" and ".join(map(str, wanted))} and no other',
                   numbers)
        files = [[one for one in log if one.pcr == 9
                  and STUB_OPTIONS not in one.data]
                 for log in (before[1], events)]
        self.check(files[0] == files[1] and files[0], 'the files that GRUB '
                   'has read are the same', eventlog.first_difference(*files))
        text = pcrs.explain(before[1], events, 8)
        self.check('->' in text, 'the logs tell which event it was', text)

    def migration(self, setup):
        """The TPM goes with the guest."""
        link = os.path.join(self.folder, 'migrate.sock')
        with self.guest(setup, 'source') as source:
            _, banks = self.registers(source, 'before migration')
            with self.guest(setup, 'target',
                            extra=['-incoming', f'unix:{link}']) as target:
                source.cmd('migrate', uri=f'unix:{link}')
                self.finish(source)
                target.boot.wait(
                    lambda: target.cmd('query-status')['status'] == 'running',
                    DEADLINE, 'the guest runs after the migration')
                source.boot.quit()
                self.migrated(target, banks)
                target.boot.quit()

    @staticmethod
    def finish(source):
        state = {}

        def done():
            state.update(source.cmd('query-migrate'))
            if state.get('status') in ('failed', 'cancelled'):
                raise ToolError('the migration failed: '
                                + state.get('error-desc', 'no reason given'))
            return state.get('status') == 'completed'
        source.boot.wait(done, DEADLINE, 'the migration is complete')

    def migrated(self, target, banks):
        """What guest and TPM hold on the other side."""
        read = target.next_round()
        self.check(read == banks, 'after migration: the guest reads the same '
                   'registers', different(read, banks))
        self.check(target.proxy.registers() == banks,
                   'after migration: the TPM holds the same registers')


def different(one, other):
    """'sha1 8, sha256 8': what differs, for a message."""
    found = []
    for bank in sorted(set(one) | set(other)):
        left, right = one.get(bank, []), other.get(bank, [])
        if len(left) != len(right):
            found.append(f'{bank}: {len(left)} and {len(right)} registers')
        found += [f'{bank} {n}' for n, (a, b) in enumerate(zip(left, right))
                  if a != b]
    return ', '.join(found)


def test(checks, arch):
    qemu = need_tpm_guest(arch)
    with tpm_folder() as folder:
        tester = Tester(checks, qemu, arch, folder)
        setups = SETUPS[arch]
        results = [tester.all_of(setup) for setup in setups]
        tester.command_line(setups[0], results[0])
        tester.reboots(setups[0])
        tester.migration(setups[0])
        for setup in BLIND[arch]:
            tester.blind(setup)


def main(arch):
    run(f'Boots an {arch} guest through UEFI and GRUB with swtpm, and checks '
        'registers and event log, over reboots and a migration.',
        lambda checks: test(checks, arch))
