# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Sets of CPUs as the kernel writes them, and the QEMU processes of a host."""

import functools
import os
import re
from dataclasses import dataclass

from .sysroot import Unreadable, shown, whole

MOST = 1 << 16          # CPUs; beyond, a list is nonsense
PROGRAM = re.compile(r'(qemu-system-[\w-]+|qemu-kvm|kvm|kvm-spice)$')


def parse_list(text, path):
    """'0-3,8' as a set; '' and '(null)' are empty."""
    found = set()
    if text in ('', '(null)'):
        return found
    for part in text.split(','):
        match = re.fullmatch(r'\s*(\d{1,6})(?:-(\d{1,6}))?\s*', part)
        if not match:
            raise Unreadable(path, f'{shown(text)} is no list of CPUs')
        low, high = int(match[1]), int(match[2] or match[1])
        if high >= MOST or low > high:
            raise Unreadable(path, f'{shown(text)} is no list of CPUs')
        found.update(range(low, high + 1))
    return found


def parse_mask(text, path):
    """'ff,ffffffff' as a set."""
    digits = text.replace(',', '')
    if not re.fullmatch(r'[0-9a-fA-F]+', digits) or len(digits) * 4 > MOST:
        raise Unreadable(path, f'{shown(text)} is no mask of CPUs')
    mask = int(digits, 16)
    return {cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1}


def format_list(cpus):
    """A set as '0-3,8'."""
    parts = []
    for cpu in sorted(cpus):
        if parts and parts[-1][1] == cpu - 1:
            parts[-1][1] = cpu
        else:
            parts.append([cpu, cpu])
    return ','.join(str(low) if low == high else f'{low}-{high}'
                    for low, high in parts) or 'none'


def format_mask(cpus):
    """A set as the hexadecimal mask that the kernel takes: words of 32."""
    mask = sum(1 << cpu for cpu in cpus)
    words = []
    while True:
        words.append(mask & 0xffffffff)
        mask >>= 32
        if not mask:
            break
    return ','.join([f'{words[-1]:x}'] + [f'{w:08x}' for w in words[-2::-1]])


def cpu_file(root, path):
    """The set in a file of CPU numbers, empty if there is none."""
    try:
        return parse_list(root.text(path), path)
    except Unreadable as reason:
        if reason.missing:
            return set()
        raise


def online(root):
    path = '/sys/devices/system/cpu/online'
    return parse_list(root.text(path), path)


@dataclass
class Thread:
    tid: int
    name: str
    cpus: set


class Qemu:
    """A QEMU that runs."""

    def __init__(self, root, pid, argv):
        self._root = root
        self.pid = pid
        self.argv = argv
        self.name = self._name()

    def _name(self):
        """As -name says, else the number."""
        for option, value in zip(self.argv, self.argv[1:]):
            if option in ('-name', '--name'):
                match = re.match(r'(?:guest=)?([^,=]+)(?:,|$)', value)
                if match:
                    return match[1]
        return f'pid {self.pid}'

    @functools.cached_property
    def threads(self):
        """Those that can be read; a thread may end meanwhile."""
        found = []
        for tid in self._root.names(f'/proc/{self.pid}/task'):
            path = f'/proc/{self.pid}/task/{tid}/status'
            try:
                text = self._root.text(path)
                fields = dict(line.split(':', 1) for line in text.split('\n')
                              if ':' in line)
                found.append(Thread(
                    int(tid), fields.get('Name', '').strip(),
                    parse_list(fields['Cpus_allowed_list'].strip(), path)))
            except (Unreadable, KeyError, ValueError):
                continue
        return found

    def vcpus(self):
        """CPU n/KVM, as QEMU calls them with debug-threads=on."""
        return [thread for thread in self.threads
                if re.match(r'CPU \d+/', thread.name)]

    def devices(self):
        """PCI addresses of what is passed through, in both notations."""
        found = set()
        for word in self.argv:
            if 'vfio-pci' in word:
                for match in re.finditer(
                        r'(?:host"?\s*[=:]\s*"?|/devices/(?:\S*/)?)'
                        r'((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:'
                        r'[0-9a-f]{2}\.[0-7])(?!/)', word, re.I):
                    address = match[1].lower()
                    found.add(address if address.count(':') == 2
                              else '0000:' + address)
        return found


def processes(root):
    """All QEMUs; processes that cannot be read or have gone are left out."""
    found = []
    for pid in root.names('/proc'):
        if whole(pid) is None:
            continue
        try:
            argv = root.data(f'/proc/{pid}/cmdline').decode(
                errors='replace').rstrip('\0').split('\0')
        except Unreadable:
            continue
        if PROGRAM.match(os.path.basename(argv[0])):
            found.append(Qemu(root, int(pid), argv))
    return found
