# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Boots an image with UEFI and a fresh vTPM, prints its PCRs, and
replays the firmware's event log, which must come to the same.  The guest
needs no tools and no login: the PCRs come from the TPM, the log from the
guest's memory.  The image is not changed.  Everything is fresh in each run: TPM
and UEFI variables, so that two runs can be compared (--diff)."""

import glob
import hashlib
import json
import os
import shutil
import sys
import tempfile

from .. import ToolError, base
from ..command import Parser, number, run, say
from ..stop import Stop
from . import machine, pcrs
from .proxy import Proxy
from .swtpm import Swtpm

PROGRAM = 'measured-boot'
BANKS = ('sha1', 'sha256')
QUIET_SECONDS = 15
EPILOG = '''\
Words after -- are further options of QEMU.

examples:
  measured-boot --disk debian.qcow2 --json before.json
  measured-boot --disk debian.qcow2 --diff before.json
  measured-boot --arch aarch64 --disk arm.raw --until 'login:'

Exit status: 0 the log tells the PCRs, 1 it does not, or an error, 2 usage.
'''


DEVICES = ('tpm-tis', 'tpm-crb', 'tpm-tis-device', 'tpm-crb-device')


def parser():
    from argparse import RawDescriptionHelpFormatter
    one = Parser(prog=PROGRAM, description=__doc__, epilog=EPILOG,
                 allow_abbrev=False,
                 formatter_class=RawDescriptionHelpFormatter)
    here = os.uname().machine
    base.add_option(one)
    one.add_argument('--arch', choices=sorted(machine.MACHINES),
                     default=here if here in machine.MACHINES else 'x86_64',
                     help="the guest (default: this machine's)")
    one.add_argument('--disk', metavar='IMG', help='boot this image, raw or '
                     'qcow2 (default: the firmware alone)')
    one.add_argument('--device', metavar='NAME', choices=DEVICES, help='the '
                     'TPM: tpm-tis or tpm-crb; for aarch64 tpm-tis-device or '
                     'tpm-crb-device')
    one.add_argument('--firmware', metavar='FILE', help='UEFI code')
    one.add_argument('--vars', metavar='FILE', help='UEFI variables to begin '
                     'with; a copy is used')
    one.add_argument('--qemu', metavar='BIN', help="the QEMU to run "
                     "(default: this project's build, else $PATH's)")
    one.add_argument('--accel', choices=('kvm', 'tcg'), default='tcg')
    one.add_argument('--memory', type=number(int, 128, 65536), default=1024,
                     metavar='MIB', help='(default: 1024)')
    one.add_argument('--until', metavar='TEXT', help='measure when the '
                     'console has printed this (default: when the firmware '
                     'has ended its part and nothing was measured for '
                     f'{QUIET_SECONDS} seconds)')
    one.add_argument('--quiet-seconds', type=number(float, 1, 600),
                     default=QUIET_SECONDS, metavar='N', help='other time '
                     'than that')
    one.add_argument('--seconds', type=number(float, 1, 86400), default=600,
                     metavar='N', help='give up after (default: 600)')
    one.add_argument('--json', metavar='FILE', help='also write PCRs '
                     'and log to a file')
    one.add_argument('--diff', metavar='FILE', help='compare with a file of '
                     '--json')
    one.add_argument('extra', nargs='*', metavar='-- OPTION',
                     help='options for QEMU')
    return one


def parse(arguments):
    one = parser()
    options = one.parse_args(arguments)
    if bool(options.firmware) != bool(options.vars):
        one.error('--firmware and --vars go together')
    if options.extra and '--' not in arguments:
        one.error(f"'{options.extra[0]}': options for QEMU come after --")
    return options


def firmware(options):
    """The UEFI to use."""
    if not options.firmware:
        return machine.find_firmware(options.arch)
    for path in (options.firmware, options.vars):
        if not os.path.isfile(path):
            raise ToolError(f'{path} is no file')
    return options.firmware, options.vars


def built(name):
    """This project's own, of this base or else of another one; or None."""
    own = base.build_dir('obj', name)
    if os.access(own, os.X_OK):
        return own
    found = sorted(glob.glob(
        os.path.join(base.ROOT, 'build', '*', 'obj', name)))
    installed = os.path.normpath(
        os.path.join(base.ROOT, '..', '..', 'bin', name))
    if not found and os.access(installed, os.X_OK):
        return installed
    return found[-1] if found else None


def binary(options):
    name = f'qemu-system-{options.arch}'
    name = options.qemu or built(name) or name
    path = shutil.which(name)
    if not path:
        raise ToolError(f'{name} is no program here; give --qemu the path of '
                        'a qemu-system binary')
    return path


def disk_options(path):
    if not path:
        return []
    try:
        with open(path, 'rb') as file:
            kind = 'qcow2' if file.read(4) == b'QFI\xfb' else 'raw'
    except OSError as error:
        raise ToolError(f'--disk: {path}: {error.strerror}') from None
    return ['-drive', f'if=none,id=disk0,format={kind},snapshot=on,'
                      f'file={machine.escaped(path)}',
            '-device', 'virtio-blk-pci,drive=disk0,bootindex=0']


def load(path, arch):
    try:
        with open(path, encoding='utf-8') as file:
            stored = json.load(file)
        run_before = pcrs.unpack(stored, path)
        if stored.get('arch', arch) != arch:
            raise ToolError(f"--diff: {path} is of {stored['arch']}, and "
                            f'this is a boot of {arch}')
        return run_before
    except OSError as error:
        raise ToolError(f'{path}: {error.strerror}') from None
    except ValueError:
        raise ToolError(f'{path} is no JSON') from None


def store(path, content):
    try:
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(content, file, indent=1)
            file.write('\n')
    except OSError as error:
        raise ToolError(f'--json: {path}: {error.strerror}') from None


def check_writable(path):
    """A file that cannot be written is told before the boot, too."""
    there = os.path.exists(path)
    try:
        with open(path, 'a', encoding='utf-8'):
            pass
    except OSError as error:
        raise ToolError(f'--json: {path}: {error.strerror}') from None
    if not there:
        os.unlink(path)


def firmware_done(extends):
    """Has each of its registers its separator?  It comes before what is
    booted, and silence before it is a busy host."""
    ends = {hashlib.new(bank, value).digest() for bank in BANKS
            for value in (bytes(4), b'\xff' * 4)}
    return {one.pcr for one in extends
            if ends & set(one.digests.values())} >= set(pcrs.FIRMWARE)


def ready(options, boot, proxy):
    if options.until:
        return lambda: options.until in boot.text()
    return lambda: (firmware_done(proxy.extends) and
                    proxy.quiet() >= options.quiet_seconds)


def measure(options, folder, stop):
    """(registers, events or None) of one boot."""
    with Swtpm(folder) as tpm:
        tpm.allocate(BANKS)
        tpm.start()
        proxy = Proxy(os.path.join(folder, 'proxy.sock'), tpm.path)
        boot = machine.Boot(
            binary(options), options.arch, folder, proxy.path, stop,
            device=options.device, firmware=firmware(options),
            accel=options.accel, memory=options.memory,
            cpu='host' if options.accel == 'kvm' else None,
            extra=disk_options(options.disk) + options.extra)
        try:
            with boot:
                what = (f"'{options.until}' on the console" if options.until
                        else 'the separators of PCR 0 to 7 and then nothing '
                        'more (--until TEXT waits for the console instead)')
                boot.wait(ready(options, boot, proxy), options.seconds, what)
                banks = proxy.registers()
                events = machine.read_memory_log(boot, proxy, banks)
                boot.quit()
        finally:
            proxy.close()
    return banks, events


def verdict(banks, events, replayed):
    """The last line, and whether all is well."""
    if all(pcrs.state(values[n]) == 'zero'
           for values in banks.values() for n in pcrs.FIRMWARE):
        return False, ('the firmware has measured nothing: it has no TPM '
                       'support (AArch64: try AAVMF_CODE.secboot.fd)')
    if events is None:
        return False, "no event log was found in the guest's memory"
    if set(replayed) != set(banks):
        return False, ('the log has no digests for '
                       + ', '.join(sorted(set(banks) - set(replayed))))
    wrong = sorted({n for numbers in replayed.values() for n in numbers})
    if wrong:
        return False, ('the log tells something else about PCR '
                       + ', '.join(map(str, wrong)))
    return True, (f'{len(events)} events of the log, replayed, come to the '
                  f'registers in {" and ".join(banks)}')


def report(options, banks, events, before):
    replayed = machine.judge(banks, events or [])
    for line in pcrs.lines(banks, replayed, events or []):
        print(line)
    good, text = verdict(banks, events, replayed)
    if options.json:
        content = {'arch': options.arch, 'ok': good, 'verdict': text,
                   'replay-differs': replayed}
        store(options.json, {**content, **pcrs.pack(banks, events or [])})
    if before:
        for line in pcrs.difference(before, (banks, events or [])):
            print(line)
    if good:
        print(text)
    else:
        say(PROGRAM, f'error: {text}')
    return 0 if good else 1


def work(options):
    # A file that cannot be read is told before the boot
    before = load(options.diff, options.arch) if options.diff else None
    if options.json:
        check_writable(options.json)
    stop = Stop().install()
    with tempfile.TemporaryDirectory(prefix='measured-boot.') as folder:
        banks, events = measure(options, folder, stop)
    return report(options, banks, events, before)


def main():
    options = parse(sys.argv[1:])
    return run(PROGRAM, lambda: work(options))
