# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The event log of a measured boot: TCG's crypto-agile format.

Replaying a log means to extend registers with its digests as the TPM did.  What
comes out equals the registers if, and only if, the log tells all."""

import hashlib
import re
import struct
from dataclasses import dataclass

from .. import ToolError

SHA1, SHA256, SHA384, SHA512 = 0x4, 0xb, 0xc, 0xd
BANKS = {SHA1: 'sha1', SHA256: 'sha256', SHA384: 'sha384', SHA512: 'sha512'}
SIZES = {SHA1: 20, SHA256: 32, SHA384: 48, SHA512: 64}
REGISTERS = 24
EV_NO_ACTION = 3
SIGNATURE = b'Spec ID Event03\0'
LOCALITY = b'StartupLocality\0'
# What stands in front of SIGNATURE: register 0, EV_NO_ACTION, an empty digest
HEAD = struct.pack('<II', 0, EV_NO_ACTION) + bytes(20)
# A larger event in memory is no event: what follows the log is not empty
LARGEST = 1 << 20

TYPES = {
    0x1: 'POST_CODE', 0x3: 'NO_ACTION', 0x4: 'SEPARATOR', 0x5: 'ACTION',
    0x6: 'EVENT_TAG', 0x7: 'S_CRTM_CONTENTS', 0x8: 'S_CRTM_VERSION',
    0xa: 'PLATFORM_CONFIG_FLAGS', 0xd: 'IPL',
    0x80000001: 'EFI_VARIABLE_DRIVER_CONFIG',
    0x80000002: 'EFI_VARIABLE_BOOT',
    0x80000003: 'EFI_BOOT_SERVICES_APPLICATION',
    0x80000004: 'EFI_BOOT_SERVICES_DRIVER',
    0x80000006: 'EFI_GPT_EVENT', 0x80000007: 'EFI_ACTION',
    0x80000008: 'EFI_PLATFORM_FIRMWARE_BLOB',
    0x80000009: 'EFI_HANDOFF_TABLES',
    0x8000000a: 'EFI_PLATFORM_FIRMWARE_BLOB2',
    0x8000000b: 'EFI_HANDOFF_TABLES2', 0x8000000c: 'EFI_VARIABLE_BOOT2',
    0x800000e0: 'EFI_VARIABLE_AUTHORITY'}


class BadLog(ToolError):
    """What should be a log is none."""


@dataclass
class Event:
    """One event: DIGESTS has bank names for keys."""

    pcr: int
    type: int
    digests: dict
    data: bytes

    def words(self, most=60):
        """The event in words of people, of its text the first MOST letters."""
        name = TYPES.get(self.type, f'{self.type:#x}')
        text = self.data
        if self.type in (0x80000001, 0x80000002, 0x8000000c, 0x800000e0):
            text = _variable_name(self.data)
        # Text is ASCII or UTF-16, with binary fields around it
        found = re.findall(rb'[ -~]{2,}', text.replace(b'\0', b''))
        long = [one for one in found if len(one) >= 5] or found[:1]
        return f'{name} {b" ".join(long)[:most].decode()}'.strip()


def _variable_name(data):
    if len(data) < 32:
        return b''
    length = struct.unpack_from('<Q', data, 16)[0]
    return data[32:32 + 2 * length].replace(b'\0', b'')


@dataclass
class Log:
    """A parsed log: the bank names in its order, the events, its size."""

    banks: list
    events: list
    size: int


def _header(data, start):
    """The algorithms that a log has, and where its events begin."""
    fail = BadLog('no crypto-agile log: a "Spec ID Event03" is missing')
    try:
        size = struct.unpack_from('<I', data, start + 28)[0]
        body = start + 32
        if (bytes(data[start:start + 28]) != HEAD
                or bytes(data[body:body + 16]) != SIGNATURE):
            raise fail
        count = struct.unpack_from('<I', data, body + 24)[0]
        if not 1 <= count <= 8 or size < 29 + 4 * count:
            raise fail
        pairs = [struct.unpack_from('<HH', data, body + 28 + 4 * i)
                 for i in range(count)]
    except struct.error:
        raise fail from None
    return dict(pairs), body + size


def _event(data, at, sizes, limit):
    """The event at an offset and the next one's; None if there is none."""
    try:
        pcr, kind, count = struct.unpack_from('<III', data, at)
        if pcr >= REGISTERS or count != len(sizes):
            return None
        at += 12
        digests = {}
        for _ in range(count):
            algorithm = struct.unpack_from('<H', data, at)[0]
            if algorithm not in sizes:
                return None
            size = sizes[algorithm]
            name = BANKS.get(algorithm, f'{algorithm:#x}')
            digests[name] = bytes(data[at + 2:at + 2 + size])
            at += 2 + size
        size = struct.unpack_from('<I', data, at)[0]
    except struct.error:
        return None
    at += 4
    if size > LARGEST or at + size > limit or len(digests) != count:
        return None
    return Event(pcr, kind, digests, bytes(data[at:at + size])), at + size


def parse(data, start=0, whole=True):
    """The log at an offset.  With WHOLE nothing may follow it."""
    sizes, at = _header(data, start)
    events = []
    while at < len(data):
        found = _event(data, at, sizes, len(data))
        if not found:
            if whole:
                raise BadLog(f'event {len(events) + 1} of the log, at byte '
                             f'{at - start}, is damaged')
            break
        event, at = found
        events.append(event)
    banks = [BANKS.get(one, f'{one:#x}') for one in sizes]
    return Log(banks, events, at - start)


def initial(bank, locality=0):
    """The registers after a start of the TPM."""
    size = hashlib.new(bank).digest_size
    values = [bytes(size)] * 17 + [b'\xff' * size] * 6 + [bytes(size)]
    if locality:
        values[0] = bytes(size - 1) + bytes([locality])
    return values


def startup_locality(events):
    """From where the TPM was started: register 0 begins with it."""
    for event in events:
        if event.type == EV_NO_ACTION and event.data[:16] == LOCALITY:
            return event.data[16] if len(event.data) > 16 else 0
    return 0


def extend(bank, value, digest):
    return hashlib.new(bank, value + digest).digest()


def replay(events, bank):
    """The registers that the events of a log make."""
    values = initial(bank, startup_locality(events))
    for event in events:
        if event.type != EV_NO_ACTION:
            values[event.pcr] = extend(bank, values[event.pcr],
                                       event.digests[bank])
    return values


def mismatches(events, bank, registers, among=range(REGISTERS)):
    """Numbers of registers of which the log tells something else."""
    told = replay(events, bank)
    return [n for n in among if told[n] != registers[n]]


# --- a log in the memory of a machine ---------------------------------------

def find_all(data):
    """All logs in an image of memory, the longest first."""
    logs = []
    for match in re.finditer(re.escape(SIGNATURE), data):
        start = match.start() - 32
        if start < 0:
            continue
        try:
            logs.append(parse(data, start, whole=False))
        except BadLog:
            pass
    return sorted(logs, key=lambda log: -len(log.events))


def _record(data, wanted, banks):
    """The event of an extend, wherever in the memory it is: the firmware keeps
    those that come after a copy of the log was taken in a table apart."""
    digests = b''.join(struct.pack('<H', algorithm) + wanted.digests[name]
                       for algorithm, name in BANKS.items()
                       if name in banks and name in wanted.digests)
    sizes = {algorithm: SIZES[algorithm] for algorithm, name in BANKS.items()
             if name in wanted.digests}
    pattern = (re.escape(struct.pack('<I', wanted.pcr)) + b'....'
               + re.escape(struct.pack('<I', len(sizes)) + digests))
    for match in re.finditer(pattern, data, re.DOTALL):
        found = _event(data, match.start(), sizes, len(data))
        if found:
            return found[0]
    return None


def complete(data, log, extends):
    """A log with the events that came after it, as a new list.

    EXTENDS (pcr, digests) is what the TPM was told.  Only events that the
    memory has are added."""
    events = list(log.events)
    have = [event for event in events if event.type != EV_NO_ACTION]
    if len(have) >= len(extends):
        return events
    for event, seen in zip(have, extends):
        if event.pcr != seen.pcr:
            return events
    for seen in extends[len(have):]:
        event = _record(data, seen, log.banks)
        if not event:
            break
        events.append(event)
    return events


def first_difference(one, other):
    """(number, event, event) where two logs part; None if they do not."""
    for number, (left, right) in enumerate(zip(one, other), 1):
        if left != right:
            return number, left, right
    if len(one) != len(other):
        number = min(len(one), len(other))
        rest = (one + [None] * len(other))[number], \
            (other + [None] * len(one))[number]
        return (number + 1, *rest)
    return None
