# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Registers of a TPM as people read them, and two measured boots compared."""

from .. import ToolError, table
from . import eventlog

# What a boot through UEFI leaves, as tpm2_pcrread shows it; TABLES: which of 8
# to 15 the boot loader sets beside
EXPECTED = ['set'] * 8 + ['zero'] * 9 + ['ff'] * 6 + ['zero']
TABLES = {
    'GRUB': {8, 9},             # its command lines and its files
    'UKI': {11},                # systemd-stub: the parts of the image
    'kernel': {9},              # its EFI stub: initrd and command line
    'firmware': set(),
}
LOADERS = range(8, 16)
IMA = 10            # Linux extends it, with a log of its own
FIRMWARE = range(8)
LONGEST = 400       # letters of an event to show where events are compared
LOGGED = [n for n in range(eventlog.REGISTERS) if n != IMA]


def state(value):
    """zero, ff or set."""
    if not any(value):
        return 'zero'
    return 'ff' if value == b'\xff' * len(value) else 'set'


def table_of(events):
    """The name in TABLES that fits what the log shows."""
    logged = {event.pcr for event in events}
    if 11 in logged:
        return 'UKI'
    if 8 in logged:
        return 'GRUB'
    return 'kernel' if 9 in logged else 'firmware'


def expected(events):
    """States of all registers.  What a loader measures beyond its table (12:
    command line, 13: extensions, 14: MOK, 15: volumes) stands in the log."""
    more = TABLES[table_of(events)] | \
        {event.pcr for event in events if event.pcr in LOADERS}
    return ['set' if n in more else EXPECTED[n]
            for n in range(eventlog.REGISTERS)]


def unexpected(registers, events=()):
    """Numbers of registers that are not as the table of the boot."""
    states = expected(events)
    return [n for n, value in enumerate(registers)
            if state(value) != states[n]]


def mark(banks, replayed, number, events=()):
    """What to say about a register beside its values."""
    wanted = expected(events)[number]
    states = {state(values[number]) for values in banks.values()}
    if number == IMA and states == {'set'}:
        return 'by IMA of Linux'
    words = [] if states == {wanted} else [f'expected {wanted}']
    if any(number in wrong for wrong in replayed.values()):
        words.append('log differs')
    return ', '.join(words)


def lines(banks, replayed, events=()):
    """A table: PCR, a column for each bank, remarks."""
    rows = [[str(n), *[values[n].hex() for values in banks.values()],
             mark(banks, replayed, n, events)]
            for n in range(eventlog.REGISTERS)]
    heads = ['PCR', *[name.upper() for name in banks], '']
    return table.lines(heads, rows, left=range(len(heads)))


# --- as JSON ----------------------------------------------------------------

def pack(banks, events):
    """Registers and log for a file."""
    return {
        'banks': {name: [value.hex() for value in values]
                  for name, values in banks.items()},
        'events': [{'pcr': event.pcr, 'type': event.type,
                    'digests': {name: value.hex() for name, value
                                in event.digests.items()},
                    'data': event.data.hex(), 'words': event.words()}
                   for event in events]}


def unpack(stored, name):
    """The reverse; NAME is the file's, for errors."""
    try:
        banks = {bank: [bytes.fromhex(value) for value in values]
                 for bank, values in stored['banks'].items()}
        events = [eventlog.Event(
            one['pcr'], one['type'],
            {bank: bytes.fromhex(value)
             for bank, value in one['digests'].items()},
            bytes.fromhex(one['data'])) for one in stored['events']]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ToolError(f'{name} holds no measured boot; give a file that '
                        '--json has written') from None
    if any(len(values) != eventlog.REGISTERS for values in banks.values()):
        raise ToolError(f'{name} does not hold {eventlog.REGISTERS} registers')
    return banks, events


def changed(before, after):
    """Numbers of registers that differ in a bank that both have."""
    return sorted({n for name in before if name in after
                   for n in range(eventlog.REGISTERS)
                   if before[name][n] != after[name][n]})


def explain(before, after, number):
    """The first event of a register that differs, in words."""
    if number == IMA:
        return 'IMA of Linux keeps a log of its own about it'
    found = eventlog.first_difference(
        [event for event in before if event.pcr == number],
        [event for event in after if event.pcr == number])
    if not found:
        return 'no event of the logs tells why'
    count, old, new = (found[0], *(one.words(LONGEST) if one else 'none'
                                   for one in found[1:]))
    if old == new:
        return f'event {count}: {old}: its digest or its data'
    return f'event {count}: {old} -> {new}'


def difference(before, after):
    """Lines about what changed between two boots, (banks, events) each."""
    numbers = changed(before[0], after[0])
    if not set(before[0]) & set(after[0]):
        raise ToolError('the two runs have no bank in common')
    if not numbers:
        return ['no register changed']
    return [f'PCR {n} changed, {explain(before[1], after[1], n)}'
            for n in numbers]
