# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's chapter on trusted boot."""

import os
import shutil

from .. import host_cannot, libvirt_refuses
from ..suite import case, check, expect, refused

SECTION = 'Trusted VM Boot'
TPM = '''<tpm model='{model}'><backend type='emulator' version='2.0'/></tpm>'''


def vtpm(env, arch, model):
    for name in ('swtpm', 'swtpm_setup'):
        if not shutil.which(name):
            raise host_cannot(f'it has no {name}')
    guest = env.domain(arch, devices=TPM.format(model=model)).start()
    tpms = guest.qmp('query-tpm')
    expect(len(tpms), 1, 'the number of TPMs')
    expect(tpms[0]['options']['type'], 'emulator', 'the backend')
    uuid = guest.on('domuuid')
    state = f'/var/lib/libvirt/swtpm/{uuid}/tpm2'
    mode = os.stat(state).st_mode & 0o777
    check(not mode & 0o007, f"the state's folder is open to all: {mode:o}")
    return (f"query-tpm: {tpms[0]['model']}; swtpm's state has mode {mode:o}, "
            'chmod 777 is not needed')


@case('vtpm-x86', SECTION, "<tpm model='tpm-tis'><backend type='emulator' "
      "version='2.0'/> on q35")
def vtpm_x86(env):
    return vtpm(env, 'x86_64', 'tpm-tis')


@case('vtpm-arm', SECTION, "<tpm model='tpm-tis'><backend type='emulator' "
      "version='2.0'/> on virt")
def vtpm_arm(env):
    return vtpm(env, 'aarch64', 'tpm-tis')


@case('vtpm-arm-own', SECTION, "<tpm model='tpm-tis-device'><backend "
      "type='emulator' version='2.0'/> on virt")
def vtpm_arm_own(env):
    guest = env.domain('aarch64', devices=TPM.format(model='tpm-tis-device'))
    text = refused(guest.define, 'tpm-tis-device')
    made = env.domain('aarch64', devices=TPM.format(model='tpm-tis'))
    made.define()
    check('"driver":"tpm-tis-device"' in made.command_line(),
          'tpm-tis on virt is no tpm-tis-device')
    raise libvirt_refuses(f"model='tpm-tis' makes it, on virt; {text}")


@case('vtpm-crb', SECTION, "<tpm model='tpm-crb'><backend type='emulator' "
      "version='2.0'/> on q35")
def vtpm_crb(env):
    return vtpm(env, 'x86_64', 'tpm-crb')
