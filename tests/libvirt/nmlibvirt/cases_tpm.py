# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's chapter on trusted boot."""

import os
import shutil

from . import host_cannot
from .suite import case, check, expect

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


@case('vtpm-crb', SECTION, "<tpm model='tpm-crb'><backend type='emulator' "
      "version='2.0'/> on q35")
def vtpm_crb(env):
    return vtpm(env, 'x86_64', 'tpm-crb')
