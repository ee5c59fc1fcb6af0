# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The few commands of a TPM 2.0 that these tools send or have to know."""

import struct
from dataclasses import dataclass

from .. import ToolError
from . import eventlog

NO_SESSIONS, SESSIONS = 0x8001, 0x8002
PCR_ALLOCATE, PCR_EXTEND, PCR_READ = 0x12b, 0x182, 0x17e
STARTUP, SHUTDOWN = 0x144, 0x145
RH_PLATFORM, RS_PW = 0x4000000c, 0x40000009
RC_INITIALIZE = 0x100
HEADER = 10
LARGEST = 64 << 10


class TpmRefused(ToolError):
    """The TPM answered with an error."""

    def __init__(self, what, code):
        super().__init__(f'TPM: {what}: error {code:#x}')
        self.code = code


@dataclass
class Extend:
    """What a register was told: DIGESTS has bank names for keys."""

    pcr: int
    digests: dict


def command(code, body, tag=NO_SESSIONS):
    return struct.pack('>HII', tag, HEADER + len(body), code) + body


def size_of(message):
    """The length that a message says it has; None before one can tell."""
    if len(message) < HEADER:
        return None
    return struct.unpack_from('>I', message, 2)[0]


def code_of(message):
    return struct.unpack_from('>I', message, 6)[0]


def check(what, response):
    if len(response) < HEADER:
        raise ToolError(f'TPM: {what}: an answer of {len(response)} bytes')
    if code_of(response):
        raise TpmRefused(what, code_of(response))
    return response[HEADER:]


def startup():
    return command(STARTUP, struct.pack('>H', 0))


def shutdown():
    return command(SHUTDOWN, struct.pack('>H', 0))


def allocate(banks):
    """Give registers to these banks and to none else."""
    selections = b''
    for algorithm, name in eventlog.BANKS.items():
        mask = b'\xff\xff\xff' if name in banks else bytes(3)
        selections += struct.pack('>HB', algorithm, 3) + mask
    session = struct.pack('>IHBH', RS_PW, 0, 0, 0)
    body = (struct.pack('>II', RH_PLATFORM, len(session)) + session
            + struct.pack('>I', len(eventlog.BANKS)) + selections)
    return command(PCR_ALLOCATE, body, SESSIONS)


def allocated(response):
    """Did an allocation succeed?  Its answer has a flag of its own."""
    body = check('PCR_Allocate', response)
    return len(body) > 4 and body[4] == 1


def pcr_extend(number, digests):
    """Extend a register; DIGESTS has bank names for keys."""
    session = struct.pack('>IHBH', RS_PW, 0, 0, 0)
    body = struct.pack('>II', number, len(session)) + session
    body += struct.pack('>I', len(digests))
    for algorithm, name in eventlog.BANKS.items():
        if name in digests:
            body += struct.pack('>H', algorithm) + digests[name]
    return command(PCR_EXTEND, body, SESSIONS)


def pcr_read(algorithm, numbers):
    mask = sum(1 << number for number in numbers)
    body = struct.pack('>IHB', 1, algorithm, 3) + mask.to_bytes(3, 'little')
    return command(PCR_READ, body)


def pcr_values(response):
    """{number: value} of an answer; a TPM gives eight at most at once."""
    body = check('PCR_Read', response)
    try:
        _, count = struct.unpack_from('>II', body)
        at, numbers = 8, []
        for _ in range(count):
            _, size = struct.unpack_from('>HB', body, at)
            mask = int.from_bytes(body[at + 3:at + 3 + size], 'little')
            numbers += [n for n in range(8 * size) if mask >> n & 1]
            at += 3 + size
        count = struct.unpack_from('>I', body, at)[0]
        at, values = at + 4, []
        for _ in range(count):
            size = struct.unpack_from('>H', body, at)[0]
            values.append(body[at + 2:at + 2 + size])
            at += 2 + size
    except struct.error:
        raise ToolError('TPM: PCR_Read: a damaged answer') from None
    return dict(zip(numbers, values))


def read_registers(ask, algorithm):
    """All registers of a bank, with ASK(command); None if it has none."""
    values = {}
    while len(values) < eventlog.REGISTERS:
        missing = [n for n in range(eventlog.REGISTERS) if n not in values]
        got = pcr_values(ask(pcr_read(algorithm, missing)))
        if not got:
            return None
        values.update(got)
    return [values[n] for n in range(eventlog.REGISTERS)]


def extend_of(message):
    """The Extend that a command is, or None."""
    if len(message) < HEADER or code_of(message) != PCR_EXTEND:
        return None
    try:
        pcr, size = struct.unpack_from('>II', message, HEADER)
        at = HEADER + 8 + size
        count = struct.unpack_from('>I', message, at)[0]
        at, digests = at + 4, {}
        for _ in range(count):
            algorithm = struct.unpack_from('>H', message, at)[0]
            size = eventlog.SIZES[algorithm]
            digests[eventlog.BANKS[algorithm]] = message[at + 2:at + 2 + size]
            at += 2 + size
    except (struct.error, KeyError):
        return None
    return Extend(pcr, digests)
