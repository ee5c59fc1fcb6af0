# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""docs/guide.md, written from the results of a run."""

import os

from . import SuiteError

HEAD = '''\
<!-- SPDX-License-Identifier: GPL-2.0-or-later -->
<!-- SPDX-FileCopyrightText: nearmetal contributors -->
<!-- Written by scripts/test-libvirt --doc; do not edit. -->
# The best-practice guide through libvirt

Each setting of the guide as libvirt {libvirt} gives it to the rebuilt QEMU, in
libvirt's default sandbox. Guests are of type qemu (TCG), but for the settings
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
| fails | none of these: a bug |

| Section | Setting | Result | What was seen, or why |
|---|---|---|---|
'''


def cell(text):
    return ' '.join(text.split()).replace('|', '\\|').replace('<', '&lt;')


def code(text):
    return '`' + ' '.join(text.split()).replace('|', '\\|') + '`'


def write_document(path, facts, results):
    lines = [HEAD.format(**facts)]
    section = None
    for result in results:
        name = result.case.section if result.case.section != section else ''
        section = result.case.section
        lines.append(f'| {cell(name)} | {code(result.case.snippet)} | '
                     f'{result.status} | {cell(result.why)} |\n')
    try:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(''.join(lines))
    except OSError as error:
        raise SuiteError(f'{os.path.basename(path)}: {error.strerror}') \
            from error
