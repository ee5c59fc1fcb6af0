# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The test behind long-measured-boot-image: scripts/measured-boot with disk
images, and its comparison of two boots."""

import json
import os
import re
import subprocess

from .. import ROOT
from ..testing import run
from .diskimage import make_image, qemu_img, replace_once
from .esp import make_esp
from .guest import BOOT, TpmTest, need_tpm_guest, tpm_folder, words

ARCHES = ('x86_64', 'aarch64')
# All registers have been read once, so nothing will be measured any more
UNTIL = 'nearmetal-tpm: end 1'
EV_EFI_GPT_EVENT = 0x80000006
GOOD = re.compile(r'^\d+ events of the log, replayed, come to the registers '
                  r'in sha1 and sha256$', re.MULTILINE)
# The kernel's EFI stub measures the command line, too, and IMA the result
ALSO = {9, 10}


class Tester(TpmTest):
    """The tool, its QEMU and a folder."""

    def path(self, name):
        return os.path.join(self.folder, name)

    def boot(self, disk, *options):
        """Status and output of the tool."""
        done = subprocess.run(
            [os.path.join(ROOT, 'scripts', 'measured-boot'),
             '--arch', self.arch, '--qemu', self.qemu, '--disk',
             self.path(disk), '--until', UNTIL, '--seconds', str(BOOT),
             *options], check=False, text=True, capture_output=True,
            stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def measured(self, disk, what, *options):
        """Its output, after a boot that is as it should be."""
        status, text = self.boot(disk, *options)
        self.check(status == 0 and GOOD.search(text),
                   f'{what}: the log tells the registers',
                   f'status {status}: {text[-400:]}')
        return text

    def make(self):
        esp = self.path('esp')
        make_esp(self.arch, esp, words(self.arch, 'nm.mark=a'))
        make_image(esp, self.path('disk.raw'))
        qemu_img('convert', '-O', 'qcow2', self.path('disk.raw'),
                 self.path('disk.qcow2'))

    def run(self):
        self.make()
        before = self.path('before.json')
        self.measured('disk.raw', 'raw image', '--json', before)
        if not os.path.exists(before):
            return
        with open(before, encoding='utf-8') as file:
            content = json.load(file)
        types = [one['type'] for one in content['events']]
        self.check(content['ok'] is True and EV_EFI_GPT_EVENT in types,
                   'the file of --json tells of the partition table',
                   content['verdict'])
        text = self.measured('disk.qcow2', 'qcow2 image', '--diff', before)
        self.check('\nno register changed\n' in text,
                   'no difference to a second boot', text[-400:])
        replace_once(self.path('disk.raw'), b'nm.mark=a', b'nm.mark=b')
        text = self.measured('disk.raw', 'changed image', '--diff', before)
        self.difference(text)

    def difference(self, text):
        lines = {int(number): words_ for number, words_ in
                 re.findall(r'^PCR (\d+) changed, (.*)$', text, re.MULTILINE)}
        self.check(8 in lines and set(lines) <= {8} | ALSO,
                   'one byte of the command line changes register 8',
                   sorted(lines))
        old, arrow, new = lines.get(8, '').partition(' -> ')
        self.check(arrow and 'nm.mark=a' in old and 'nm.mark=b' in new,
                   'it tells the event that differs', lines.get(8))


def test(checks):
    for arch in ARCHES:
        qemu = need_tpm_guest(arch)
        with tpm_folder() as folder:
            Tester(checks, qemu, arch, folder).run()


def main():
    run('Boots disk images with scripts/measured-boot and compares the boots.',
        test)
