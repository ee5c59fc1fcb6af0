# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""docs/guide.md, written from the results of a run."""

import os

from nmtools import ToolError

HEAD = '''\
<!-- SPDX-License-Identifier: GPL-2.0-or-later -->
<!-- SPDX-FileCopyrightText: nearmetal contributors -->
<!-- Written by scripts/test-libvirt --doc; do not edit. -->
# The best-practice guide through libvirt

Each setting of the guide, and each object of the -object page, as libvirt
{libvirt} gives it to the rebuilt QEMU, in libvirt's default sandbox. Guests are of type qemu (TCG), but for the settings
that libvirt takes with type kvm only. Passthrough devices are made up, with a
preloaded stand-in for VFIO. SCSI disks are those of scsi_debug in a guest,
which runs libvirt and the rebuilt QEMU once more.

The text is literal where it can be; the host's CPUs, pages and paths replace
the guide's.

| Result | Meaning |
|---|---|
| works | libvirt starts the guest, and its effect was seen in QEMU or the kernel |
| libvirt refuses | stock libvirt does not know the element; its own words |
| host cannot | the machine of this run lacks what the setting needs |
| host only | neither QEMU nor libvirt can do it: `scripts/host-check` tells, in the line that is named |
| guest only | a setting of the guest's kernel: `scripts/host-check`, run in the guest, tells |
| fails | none of these: a bug |

Settings of host and guest were tried with [host-check](host-check.md) on a made-up host,
with the guide's value and without; in the result the value's verdict comes first.

| Section | Setting | Result | What was seen, or why |
|---|---|---|---|
'''


WIDTH = 120             # of a cell; what is longer goes below
# As in the guide, the -object page and what is about libvirt itself last
SECTIONS = (
    'halt-polling', 'I/O Thread Configuration', 'Raw Device Mapping',
    'kworker Isolation and Binding', 'HugePage Memory',
    'Memory Bandwidth Monitoring', 'PV-qspinlock', 'Guest-Idle-Haltpoll',
    'NVMe Drive Passthrough', 'Transparent Transmission of Hardware Topology',
    'vCPU Core Binding', 'NUMA Affinity', 'WFI-no-trap', 'NIC Passthrough',
    'NUMA Exposure for Passthrough Devices', 'Libvirt Authentication',
    'qemu-ga', 'sVirt Protection', 'Trusted VM Boot',
    'High-Density Many-Core Computing', 'The -object page', 'libvirt itself')


def plain(text):
    return ' '.join(text.split()).replace('|', '\\|')


def cell(text):
    return plain(text).replace('<', '&lt;')


def code(text):
    return '`' + plain(text) + '`'


def cut(text, width):
    """The beginning of a text, up to a mark or else a word."""
    if len(text) <= width:
        return text
    head = text[:width - 1]
    for mark in ('; ', ': ', ', ', ' '):
        at = head.rfind(mark)
        if at > width // 2:
            return head[:at] + ' …'
    return head + '…'


class Notes:
    """What did not fit into the table, by number."""

    def __init__(self):
        self.lines = []

    def fit(self, full, short, end=''):
        """FULL, or SHORT(width) with the number of a note.  END closes what
        may not hold a number."""
        if len(full) <= WIDTH:
            return full
        self.lines.append(full)
        number = f' ({len(self.lines)})'
        return short(WIDTH - len(number) - len(end)) + end + number


def row(result, section, notes):
    snippet = plain(result.case.snippet)
    setting = notes.fit(code(snippet), lambda width:
                        '`' + cut(snippet, width - 1), '`')
    why = cell(result.why)
    told = notes.fit(why, lambda width: cut(why, width))
    return f'| {cell(section)} | {setting} | {result.status} | {told} |\n'


def in_order(results):
    """By section; a section that is not known stays behind all others."""
    known = {name: number for number, name in enumerate(SECTIONS)}
    return sorted(results, key=lambda result: known.get(
        result.case.section, len(known)))


def text_of(facts, results):
    lines, notes, section = [HEAD.format(**facts)], Notes(), None
    for result in in_order(results):
        name = result.case.section
        lines.append(row(result, name if name != section else '', notes))
        section = name
    if notes.lines:
        lines.append('\n## Details\n\nWhat is cut short above, by its number.'
                     '\n\n')
        lines += [f'{number}. {line}\n'
                  for number, line in enumerate(notes.lines, 1)]
    return ''.join(lines)


def write_document(path, facts, results):
    try:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text_of(facts, results))
    except OSError as error:
        raise ToolError(f'{os.path.basename(path)}: {error.strerror}') \
            from error
