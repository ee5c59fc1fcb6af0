# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What the host's sysfs says about PCI devices, as far as MSI-X needs it."""

import io
import os
import re
import struct
import tarfile
from dataclasses import dataclass, field

from .. import ToolError

DEVICES = os.path.join('bus', 'pci', 'devices')
FILES = ('config', 'resource', 'vendor', 'device', 'class', 'numa_node')
NEEDED = FILES[:2]
HOST_FILE = 'msix-check-host'
NVME = 0x010802
BARS = 6
# include/linux/ioport.h
IO, MEM, PREFETCH, MEM_64 = 0x100, 0x200, 0x2000, 0x100000
# Configuration space (PCI 3.0, 6.1 and 6.8.2)
HEADER, STATUS, HEADER_TYPE, CAP_POINTER = 64, 0x06, 0x0e, 0x34
STATUS_CAP_LIST = 0x10
CAP_MSIX, CAP_MSIX_BYTES = 0x11, 12
# As many capabilities as fit: a list that is longer is a loop
CAP_MAX = (256 - HEADER) // 4
IDS = ('/usr/share/hwdata/pci.ids', '/usr/share/misc/pci.ids',
       '/usr/share/pci.ids')


class Hidden(ToolError):
    """Only root can read all of a device's configuration space."""


@dataclass
class Bar:
    size: int = 0       # 0: free, or the upper half of a 64-bit one
    ioport: bool = False
    mem64: bool = False
    prefetch: bool = False
    mmap: bool = False
    start: int = 0


@dataclass
class Device:
    address: str
    vendor: int = 0
    device: int = 0
    class_code: int = 0
    numa_node: int = -1
    driver: str = None
    model: str = None
    bridge: bool = False
    vectors: int = 0
    table: tuple = (0, 0)       # BIR, offset
    pba: tuple = (0, 0)
    bars: list = field(default_factory=lambda: [Bar() for _ in range(BARS)])

    @property
    def nvme(self):
        return self.class_code == NVME


@dataclass
class Host:
    """What a device's sysfs does not tell."""
    page_size: int
    mappable: bool


def address(text):
    """A PCI address in full; None if TEXT is none."""
    match = re.fullmatch(r'(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[01][0-9a-f]'
                         r'\.[0-7])', text, re.IGNORECASE | re.ASCII)
    return match and f'{match[1] or "0000"}:{match[2]}'.lower()


ESCAPES = dict(zip('"\\\b\f\n\r\t\v', ('\\' + c for c in '"\\bfnrtv')))


def escaped(text):
    """As in C, of characters that stand for bytes."""
    return ''.join(ESCAPES.get(c, c if ' ' <= c <= '~' else f'\\{ord(c):03o}')
                   for c in text)


def _numbers(line):
    """Three hexadecimal ones of 64 bits; None if the line is not that."""
    words = line.replace('\t', ' ').split(' ')
    words = [word for word in words if word]
    if len(words) != 3 or not all(re.fullmatch('(0[xX])?[0-9a-fA-F]+', word)
                                  for word in words):
        return None
    numbers = [int(word, 16) for word in words]
    return numbers if max(numbers) < 1 << 64 else None


def _bar(line, page_size):
    """Raises ValueError."""
    numbers = _numbers(line)
    if not numbers:
        raise ValueError
    start, end, flags = numbers
    if not flags & (IO | MEM):
        return Bar()
    size = end - start + 1
    if not 0 < size < 1 << 64 or size & (size - 1):
        raise ValueError
    memory = not flags & IO
    # vfio-pci lets memory be mapped in whole pages; a smaller BAR only if it
    # begins a page, whose rest it then reserves
    return Bar(size, not memory, memory and bool(flags & MEM_64),
               memory and bool(flags & PREFETCH),
               memory and (size >= page_size or start % page_size == 0), start)


def parse_resource(text, page_size):
    """The BARs from sysfs' file "resource"."""
    lines = text.split('\n')
    bars = []
    for i in range(BARS):
        if i >= len(lines) or not lines[i]:
            raise ToolError(f'resource has {i} lines; {BARS} or more are '
                            'expected')
        try:
            bars.append(_bar(lines[i], page_size))
        except ValueError:
            raise ToolError(
                f"resource, line {i + 1}: '{escaped(lines[i])[:60]}' is no BAR "
                '(expected: start, end and flags, in hex, of a power of two '
                'bytes)') from None
    # The rest of a small BAR's page cannot be reserved if another one is there
    for bar in bars:
        if bar.size < page_size and any(
                other is not bar and other.size and not other.ioport
                and 0 <= other.start - bar.start < page_size
                for other in bars):
            bar.mmap = False
    return bars


def find_msix(config):
    """Where the MSI-X capability is; 0: there is none."""
    if not config[STATUS] & STATUS_CAP_LIST:
        return 0
    at = config[CAP_POINTER] & ~3
    for _ in range(CAP_MAX):
        if not at:
            return 0
        if at < HEADER:
            raise ToolError('the list of capabilities is broken: one is in '
                            f'the header, at 0x{at:x}')
        if (len(config) < at + 2 or config[at] == CAP_MSIX
                and len(config) < at + CAP_MSIX_BYTES):
            raise ToolError(f'config has only {len(config)} bytes, and a '
                            f'capability at 0x{at:x}')
        if config[at] == CAP_MSIX:
            return at
        at = config[at + 1] & ~3
    if at:
        raise ToolError('the list of capabilities is broken: it loops at '
                        f'0x{at:x}')
    return 0


def parse_config(config, device):
    """Identity and MSI-X from the configuration space."""
    if len(config) < HEADER:
        raise ToolError(f'config has only {len(config)} bytes; {HEADER} or '
                        'more are expected')
    device.vendor, device.device = struct.unpack_from('<HH', config)
    device.class_code = struct.unpack_from('<I', config, 8)[0] >> 8
    # A VF has ones in the first four bytes, too
    if config[:8] == b'\xff' * 8:
        raise ToolError('the device does not answer: config reads as ones')
    device.bridge = bool(config[HEADER_TYPE] & 0x7f)
    if device.bridge:
        return
    # What the kernel shows to users other than root
    if len(config) == HEADER and config[STATUS] & STATUS_CAP_LIST:
        raise Hidden('config has only its first 64 bytes; run this as root, '
                     'or copy sysfs as root')
    at = find_msix(config)
    if at:
        control, table, pba = struct.unpack_from('<HII', config, at + 2)
        device.vectors = (control & 0x7ff) + 1
        device.table = table & 7, table & ~7
        device.pba = pba & 7, pba & ~7


def _correct_pba(device):
    """Devices known to report a wrong place for the PBA, corrected as QEMU's
    vfio-pci does."""
    bar, offset = device.pba
    size = (device.vectors + 63) // 64 * 8
    if (not device.vectors or bar >= BARS
            or offset + size <= device.bars[bar].size):
        return
    if device.vendor == 0x1425 and device.device & 0xff00 == 0x5800:
        device.pba = bar, 0x1000        # Chelsio T5 VFs
    elif device.vendor == 0x1d22 and device.device == 0x3685:
        device.pba = bar, 0xb400        # Baidu Kunlun VFs


class Sysfs:
    """A folder in the place of /sys."""

    def __init__(self, root):
        self.root = root

    def _path(self, *names):
        return os.path.join(self.root, DEVICES, *names)

    def has(self, name):
        return os.path.isdir(self._path(name))

    def addresses(self):
        """Those of all devices, in order.  Raises OSError."""
        return sorted(filter(None, map(address, os.listdir(self._path()))))

    def _bytes(self, name, file):
        try:
            with open(self._path(name, file), 'rb') as f:
                return f.read()
        except OSError as error:
            if file not in NEEDED:
                return None
            raise ToolError('cannot read: '
                            f'{error.filename}: {error.strerror}') from None

    def _text(self, name, file):
        data = self._bytes(name, file)
        return '' if data is None else data.decode('latin-1')

    def _id(self, name, file, otherwise):
        """In a VF's own configuration space the identity reads as ones."""
        match = re.fullmatch('0x([0-9a-fA-F]{1,6})',
                             self._text(name, file).rstrip())
        return int(match[1], 16) if match else otherwise

    def _driver(self, name):
        try:
            target = os.readlink(os.fsencode(self._path(name, 'driver')))
        except OSError:
            return None
        return escaped(os.path.basename(target).decode('latin-1')) or None

    def _node(self, name):
        text = self._text(name, 'numa_node').strip()
        node = int(text) if re.fullmatch('[0-9]{1,5}', text) else -1
        return node if node <= 65535 else -1

    def _fill(self, name, device, page_size):
        parse_config(self._bytes(name, 'config'), device)
        if device.bridge:
            return
        device.vendor = self._id(name, 'vendor', device.vendor)
        device.device = self._id(name, 'device', device.device)
        device.class_code = self._id(name, 'class', device.class_code)
        device.bars = parse_resource(self._text(name, 'resource'), page_size)
        _correct_pba(device)
        device.numa_node = self._node(name)
        device.driver = self._driver(name)

    def device(self, name, page_size):
        """Raises ToolError, or Hidden."""
        device = Device(name)
        if not self.has(name):
            raise ToolError(f'{name}: there is no such device in '
                            f'{self.root}/{DEVICES}')
        try:
            self._fill(name, device, page_size)
        except ToolError as error:
            raise type(error)(f'{name}: {error}') from None
        return device

    def host(self, otherwise):
        """What a copy tells of its host."""
        try:
            with open(os.path.join(self.root, HOST_FILE),
                      encoding='latin-1') as f:
                match = re.match(r'page-size=(\d{1,7})\nmappable=([01])\b',
                                 f.read(64), re.ASCII)
        except OSError:
            match = None
        size = int(match[1]) if match else 0
        if not valid_page_size(size):
            return otherwise
        return Host(size, match[2] == '1')

    def save(self, file, addresses, host):
        """Write a tar archive.  Unpacked, it has a folder "sys"."""
        data = io.BytesIO()
        facts = f'page-size={host.page_size}\nmappable={host.mappable:d}\n'
        with tarfile.open(fileobj=data, mode='w',
                          format=tarfile.USTAR_FORMAT) as tar:
            _add(tar, HOST_FILE, facts.encode())
            for name in addresses:
                self._save_device(tar, name)
        try:
            with open(file, 'wb') as f:
                f.write(data.getbuffer())
        except OSError as error:
            raise ToolError(f'--save: {file}: {error.strerror}') from None

    def _save_device(self, tar, name):
        for file in FILES:
            try:
                content = self._bytes(name, file)
            except ToolError as error:
                raise ToolError(f'{name}: {error}') from None
            if content is not None:
                _add(tar, os.path.join(DEVICES, name, file), content)
        try:
            target = os.readlink(self._path(name, 'driver'))
        except OSError:
            return
        link = tarfile.TarInfo(os.path.join('sys', DEVICES, name, 'driver'))
        link.type, link.linkname = tarfile.SYMTYPE, target
        tar.addfile(link)


def _add(tar, name, content):
    info = tarfile.TarInfo(os.path.join('sys', name))
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def valid_page_size(size):
    return 4096 <= size <= 1 << 20 and not size & (size - 1)


class Names:
    """Of models, from the file pci.ids; PATH: None where distributions have
    it."""

    def __init__(self, path):
        self._text = ''
        for place in [path] if path else IDS:
            try:
                with open(place, encoding='utf-8', errors='replace') as f:
                    self._text = f.read()
                break
            except OSError:
                pass

    def find(self, vendor, device):
        """"Vendor Model", or "Vendor" if the model is not known; or None.

        Vendors begin their line; their devices follow, behind one tab;
        subsystems have two tabs.
        """
        match = re.search(rf'^{vendor:04x} (.*)\n((?:[\t#].*\n?)*)',
                          self._text + '\n', re.MULTILINE)
        if not match:
            return None
        model = re.search(rf'^\t{device:04x} (.*)', match[2], re.MULTILINE)
        names = [match[1].strip()] + ([model[1].strip()] if model else [])
        return re.sub(r'[\x00-\x1f\x7f]', '?', ' '.join(names))
