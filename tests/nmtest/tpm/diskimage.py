# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A disk image with a GPT and one EFI system partition, made of a folder.

QEMU shows a folder as a disk with an MBR; its partition moves into the image
as it is."""

import json
import os
import struct
import subprocess
import uuid
import zlib

from nmtools import ToolError
from nmtools.base import build_dir

SECTOR = 512
CHUNK = 1 << 20
FIRST = CHUNK // SECTOR         # where partitions begin on today's disks
ENTRIES, ENTRY_SIZE = 128, 128
TABLE = ENTRIES * ENTRY_SIZE // SECTOR
EFI_SYSTEM = uuid.UUID('c12a7328-f81f-11d2-ba4b-00a0c93ec93b')
# The same in each image: the GPT is measured
DISK = uuid.UUID('6e656172-6d65-4461-8c00-000000000001')
PARTITION = uuid.UUID('6e656172-6d65-4461-8c00-000000000002')


def qemu_img(*arguments):
    done = subprocess.run([build_dir('obj', 'qemu-img'), *arguments],
                          check=False, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        raise ToolError(f'qemu-img {arguments[0]}: {done.stderr.strip()}')


def _partition_of(image):
    """Start and length of the MBR's partition, in sectors."""
    image.seek(446 + 8)
    return struct.unpack('<II', image.read(8))


def _copy(source, target, size):
    """Without the zeros, which need no room then."""
    while size:
        data = source.read(min(size, CHUNK))
        if data.count(0) == len(data):
            target.seek(len(data), os.SEEK_CUR)
        else:
            target.write(data)
        size -= len(data)


def _protective(sectors):
    entry = struct.pack('<B3sB3sII', 0, b'\0\2\0', 0xee, b'\xff\xff\xff', 1,
                        min(sectors - 1, 0xffffffff))
    return bytes(446) + entry + bytes(48) + b'\x55\xaa'


def _header(here, other, table, sectors, entries):
    def packed(checksum):
        return struct.pack(
            '<8sIIIIQQQQ16sQIII', b'EFI PART', 0x10000, 92, checksum, 0, here,
            other, 2 + TABLE, sectors - TABLE - 2, DISK.bytes_le, table,
            ENTRIES, ENTRY_SIZE, zlib.crc32(entries))
    return packed(zlib.crc32(packed(0))).ljust(SECTOR, b'\0')


def _write_gpt(image, length):
    """Around a partition of LENGTH sectors at FIRST."""
    sectors = FIRST + length + TABLE + 1
    entry = struct.pack('<16s16sQQQ72s', EFI_SYSTEM.bytes_le,
                        PARTITION.bytes_le, FIRST, FIRST + length - 1, 0,
                        'EFI'.encode('utf-16-le'))
    entries = entry.ljust(ENTRIES * ENTRY_SIZE, b'\0')
    last = sectors - 1
    image.seek(0)
    image.write(_protective(sectors)
                + _header(1, last, 2, sectors, entries) + entries)
    image.seek((last - TABLE) * SECTOR)
    image.write(entries + _header(last, 1, last - TABLE, sectors, entries))


def make_image(folder, path):
    """A raw image at PATH with the files of FOLDER."""
    fat = path + '.fat'
    shown = {'driver': 'vvfat', 'dir': os.path.abspath(folder), 'fat-type': 16}
    qemu_img('convert', '-O', 'raw', 'json:' + json.dumps(shown), fat)
    try:
        with open(fat, 'rb') as source, open(path, 'wb') as target:
            start, length = _partition_of(source)
            source.seek(start * SECTOR)
            target.seek(FIRST * SECTOR)
            _copy(source, target, length * SECTOR)
            _write_gpt(target, length)
    finally:
        os.unlink(fat)


def replace_once(path, old, new):
    """Change what stands in one place of an image."""
    if len(old) != len(new):
        raise ValueError('the new bytes are not as many as the old ones')
    with open(path, 'r+b') as image:
        data = image.read()
        if data.count(old) != 1:
            raise ToolError(f'{path}: {old!r} is there '
                            f'{data.count(old)} times, not once')
        image.seek(data.index(old))
        image.write(new)
