# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""docs/guide.md, written from the results of a run."""

import collections
import itertools
import os
import textwrap

from nmtools import ToolError
from nmtools.check import markdown

HEAD = '''\
<!-- SPDX-License-Identifier: GPL-2.0-or-later -->
<!-- SPDX-FileCopyrightText: nearmetal contributors -->
<!-- Written by scripts/test-libvirt --doc; do not edit. -->
# The best-practice guide through libvirt

Each setting of the guide, and each object of the -object page, as libvirt
{libvirt} gives it to the patched QEMU, in libvirt's default sandbox. Guests are
of type qemu (TCG), but for the settings that libvirt takes with type kvm only.
Passthrough devices are made up, with a preloaded stand-in for VFIO. SCSI disks
are those of scsi_debug in a guest, which runs libvirt and the patched QEMU once
more.

The text is literal where it can be; the host's CPUs, pages and paths replace
the guide's. Each chapter has a table, and below it by number what was seen or
why not, with the settings that were too long for the table.

| Result | Meaning |
|---|---|
| works | the guest starts, and the effect was seen in QEMU or the kernel |
| libvirt refuses | stock libvirt does not know the element; its own words |
| host cannot | the machine of this run lacks what the setting needs |
| host only | of the host: `scripts/host-check` tells, in the line named |
| guest only | of the guest's kernel: `scripts/host-check` in the guest tells |
| fails | none of these: a bug |

Settings of host and guest were tried with [host-check](host-check.md) on a
made-up host, with the guide's value and without; in the result the value's
verdict comes first.

'''


SCREEN = 80             # columns; no line of a table is longer
SETTING = 52            # of which a setting has so many
# As in the guide, the -object page and what is about libvirt itself last
SECTIONS = (
    'halt-polling', 'I/O Thread Configuration', 'Raw Device Mapping',
    'kworker Isolation and Binding', 'HugePage Memory',
    'Memory Bandwidth Monitoring', 'PV-qspinlock', 'Guest-Idle-Haltpoll',
    'NVMe Drive Passthrough', 'Transparent Transmission of Hardware Topology',
    'vCPU Core Binding', 'NUMA Affinity', 'WFI-no-trap', 'NIC Passthrough',
    'NUMA Exposure for Passthrough Devices', 'Libvirt Authentication',
    'qemu-ga', 'sVirt Protection', 'Trusted VM Boot',
    'High-Density Many-Core Computing', 'The -object page', 'libvirt itself',
    'Live migration')


def plain(text):
    return ' '.join(text.split())


def code(text):
    """A cell of a table."""
    return '`' + text.replace('|', '\\|') + '`'


def prose(text):
    return plain(text).replace('<', '&lt;')


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


def setting(snippet):
    """As the table has it, which a cut may make shorter by some characters."""
    return next(code(cut(snippet, width)) for width in range(SETTING - 2, 0, -1)
                if len(code(cut(snippet, width))) <= SETTING)


def row(number, result):
    return (f'| {number} | {setting(plain(result.case.snippet))} '
            f'| {result.status} |\n')


def note(number, result):
    """What was seen; and the setting, if it does not stand above."""
    lead = f'{number}. '
    lines = textwrap.wrap(prose(result.why), SCREEN, initial_indent=lead,
                          subsequent_indent=' ' * len(lead),
                          break_long_words=False, break_on_hyphens=False)
    snippet = plain(result.case.snippet)
    if setting(snippet) != code(snippet):
        lines += ['', *(' ' * len(lead) + line
                        for line in ('```', snippet, '```')), '']
    return '\n'.join(lines or [lead.strip()]) + '\n'


def in_order(results):
    """By section; a section that is not known stays behind all others."""
    known = {name: number for number, name in enumerate(SECTIONS)}
    return sorted(results, key=lambda result: known.get(
        result.case.section, len(known)))


def chapters(results):
    """(section, its results) in order."""
    return [(section, list(some)) for section, some in itertools.groupby(
        in_order(results), lambda result: result.case.section)]


def summary(section, results):
    """A line of the list of chapters."""
    counts = collections.Counter(result.status for result in results)
    told = ', '.join(f'{count} {status}' for status, count in counts.items())
    return f'- [{section}](#{markdown.anchor(section)}): {told}\n'


def chapter(section, results):
    numbered = list(enumerate(results, 1))
    notes = ''.join(note(*one) for one in numbered).rstrip('\n')
    return (f'\n## {section}\n\n| | Setting | Result |\n|---|---|---|\n'
            + ''.join(row(*one) for one in numbered) + f'\n{notes}\n')


def text_of(facts, results):
    found = chapters(results)
    return (HEAD.format(**facts) + ''.join(summary(*one) for one in found)
            + ''.join(chapter(*one) for one in found))


def write_document(path, facts, results):
    try:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text_of(facts, results))
    except OSError as error:
        raise ToolError(f'{os.path.basename(path)}: {error.strerror}') \
            from error
