# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's chapters on authentication, qemu-ga, sVirt; and the sandbox."""

import gzip
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from nmtools import ToolError

from ...kit import kit_file
from ...x509 import Authority
from .. import Unmet, host_cannot, libvirt_refuses
from ..daemons import Refused, reason
from ..env import agent_of
from ..suite import case, check, expect, refused

SASL, AGENT = 'Libvirt Authentication', 'qemu-ga'
SVIRT, SANDBOX = 'sVirt Protection', 'libvirt itself'
DATABASE = '/etc/libvirt/passwd.db'
REMOTE = 'qemu+tcp://127.0.0.1/system'
USER, PASSWORD = 'openeuler', 'right one'
BOOT_SECONDS, PROBE_SECONDS = 180, 10


def label_of(env, element):
    """QEMU's label in a started guest, where the kernel has SELinux."""
    guest = env.domain(extra=element)
    if not os.path.exists('/sys/fs/selinux/enforce'):
        text = refused(guest.start, 'selinux')
        raise host_cannot(f'its kernel runs no SELinux; libvirt: {text}')
    guest.start()
    with open(f'/proc/{guest.pid()}/attr/current', encoding='ascii') as file:
        return file.read().strip('\0\n')


@case('seclabel', SVIRT, "<seclabel type='dynamic' model='selinux' "
      "relabel='yes'/>")
def seclabel(env):
    label = label_of(env, "<seclabel type='dynamic' model='selinux' "
                     "relabel='yes'/>")
    check('svirt' in label, f"QEMU's label is {label}")
    return f'QEMU runs as {label}'


@case('seclabel-none', SVIRT, "<seclabel type='none' model='selinux'/>")
def seclabel_none(env):
    label = label_of(env, "<seclabel type='none' model='selinux'/>")
    check('svirt' not in label, f"QEMU's label is {label}")
    return f'QEMU runs as {label}'


def run_tool(*command, text=None):
    """A tool of SASL; what it prints."""
    done = subprocess.run(command, input=text, text=True, capture_output=True,
                          check=False)
    if done.returncode:
        raise ToolError(f'{command[0]}: {done.stderr.strip()}')
    return done.stdout


def sasl_setup(mechanism):
    if not shutil.which('saslpasswd2'):
        raise host_cannot('it has no saslpasswd2')
    os.makedirs('/etc/sasl2', exist_ok=True)
    with open('/etc/sasl2/libvirt.conf', 'w', encoding='utf-8') as file:
        file.write(f'mech_list: {mechanism}\nsasldb_path: {DATABASE}\n')
    run_tool('saslpasswd2', '-p', '-f', DATABASE, '-a', 'libvirt', USER,
             text=PASSWORD)
    users = run_tool('sasldblistusers2', '-f', DATABASE)
    check(users.startswith(USER + '@'), f'sasldblistusers2 tells {users}')


def connect(env, password, uri):
    """Status and output of virsh, with the password in a file."""
    path = os.path.join(env.folder, 'auth.conf')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'[credentials-test]\nauthname={USER}\n'
                   f'password={password}\n[auth-libvirt-127.0.0.1]\n'
                   'credentials=test\n[auth-libvirt-localhost]\n'
                   'credentials=test\n')
    link = '&' if '?' in uri else '?'
    return env.libvirt.virsh('uri', uri=f'{uri}{link}authfile={path}',
                             check=False)


def authenticate(env, uri):
    """Good and bad passwords, with a libvirtd that has just been started."""
    status, text = connect(env, PASSWORD, uri)
    if status:
        logged = re.search(
            r'error : \S+ : (?:internal error: )?(.*SASL mechanisms.*)',
            env.libvirt.logs())
        if logged:
            raise libvirt_refuses(logged.group(1))
        raise ToolError(f'the right password is refused: {reason(text)}',
                        env.libvirt.logs())
    status, text = connect(env, 'wrong one', uri)
    check(status, 'a wrong password is accepted')
    check('auth' in text.lower(), f'another error: {reason(text)}')
    run_tool('saslpasswd2', '-f', DATABASE, '-a', 'libvirt', '-d', USER)
    status, _ = connect(env, PASSWORD, uri)
    check(status, 'a deleted user is accepted')
    return ('the right password connects; a wrong one and a deleted user: '
            f'{reason(text)}')


@case('sasl-digest-md5', SASL, 'auth_tcp = "sasl", mech_list: digest-md5')
def sasl_digest(env):
    sasl_setup('digest-md5')
    env.libvirt.restart_daemon()
    return authenticate(env, REMOTE)


@case('sasl-scram', SASL, 'auth_tcp = "sasl", mech_list: scram-sha-256')
def sasl_scram(env):
    sasl_setup('scram-sha-256')
    env.libvirt.restart_daemon()
    try:
        return authenticate(env, REMOTE)
    except Unmet as error:
        raise libvirt_refuses(
            f'{error}. The mechanism does not encrypt, and plain TCP must '
            '(tcp_min_ssf); see the next setting') from None


def certificates(env):
    """What libvirtd.conf says of TLS, and the folder of the client's."""
    try:
        authority = Authority(env.folder)
        server, client = (authority.issue(kind, 'localhost')
                          for kind in ('server', 'client'))
    except OSError as error:
        raise host_cannot(f'certificates cannot be made: {error}') from None
    for name in ('ca-cert', 'client-cert', 'client-key'):
        os.symlink(f'{client}/{name}.pem',
                   f'{client}/{name.replace("-", "")}.pem')
    return (f'key_file = "{server}/server-key.pem"\n'
            f'cert_file = "{server}/server-cert.pem"\n'
            f'ca_file = "{server}/ca-cert.pem"\n'), client


@case('sasl-scram-tls', SASL, 'listen_tls = 1, auth_tls = "sasl", mech_list: '
      'scram-sha-256')
def sasl_scram_tls(env):
    sasl_setup('scram-sha-256')
    files, client = certificates(env)
    env.libvirt.configure(f'listen_tls = 1\nauth_tls = "sasl"\n{files}')
    env.at_end(lambda: env.libvirt.configure('listen_tls = 0\n'))
    return authenticate(env, f'qemu+tls://localhost/system?pkipath={client}')


# --- the guest agent --------------------------------------------------------

INIT = '''#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
while read -r m; do /bin/busybox insmod "/modules/$m"; done </modules/order
for n in /sys/class/virtio-ports/*; do
    [ "$(/bin/busybox cat "$n/name")" = org.qemu.guest_agent.0 ] &&
        port=/dev/${n##*/}
done
echo "starting qemu-ga on $port"
LD_LIBRARY_PATH=/qga /qga/ld.so /qga/qemu-ga -m virtio-serial -p "$port" \
    -t /run {words}
echo "qemu-ga ended with status $?"
/bin/busybox poweroff -f
'''


def agent_image(env, binary, words):
    """The kit's initramfs with qemu-ga, its libraries and an init for it."""
    path = os.path.join('/var/lib/libvirt', 'agent.cpio.gz')
    with tempfile.TemporaryDirectory(dir=env.folder) as folder:
        os.makedirs(folder + '/qga')
        shutil.copy(binary, folder + '/qga/qemu-ga')
        listed = subprocess.run(['ldd', binary], text=True,
                                stdout=subprocess.PIPE, check=True).stdout
        for library in re.findall(r'(/\S+) \(0x', listed):
            name = os.path.basename(library)
            if name.startswith('ld-linux'):
                name = 'ld.so'
            shutil.copy(library, os.path.join(folder, 'qga', name))
        with open(folder + '/qga-init', 'w', encoding='utf-8') as file:
            file.write(INIT.replace('{words}', words))
        os.chmod(folder + '/qga-init', 0o755)
        names = '\n'.join(os.path.relpath(os.path.join(base, name), folder)
                          for base, dirs, files in os.walk(folder)
                          for name in dirs + files)
        archive = subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet'],
                                 cwd=folder, input=names.encode(),
                                 stdout=subprocess.PIPE, check=True).stdout
    with open(path, 'wb') as file:
        with open(kit_file('x86_64', 'initramfs.cpio.gz'), 'rb') as kit:
            file.write(kit.read())
        file.write(gzip.compress(archive, 1))
    return path


def agent_guest(env, words):
    binary = agent_of(env.qemu_dir)
    kernel = kit_file('x86_64', 'vmlinuz')
    for path in (binary, kernel):
        if not os.path.exists(path):
            raise host_cannot(f'it has no {os.path.basename(path)}; run '
                              'scripts/build and scripts/guest-kit')
    boot = (f"<kernel>{kernel}</kernel><initrd>"
            f"{agent_image(env, binary, words)}</initrd><cmdline>"
            'console=ttyS0 quiet rdinit=/qga-init panic=-1</cmdline>')
    log = '/var/log/libvirt/qemu/agent-console'
    guest = env.domain(memory=512, boot=boot, devices=f'''
        <serial type='file'><source path='{log}'/></serial>
        <channel type='unix'><target type='virtio'
        name='org.qemu.guest_agent.0'/></channel>''').start()
    return guest, log


def ask(guest, command):
    return json.loads(guest.on('qemu-agent-command', json.dumps(
        {'execute': command}), '--timeout', '30'))['return']


def wait_for_agent(guest, log):
    end = time.monotonic() + BOOT_SECONDS
    while True:
        try:
            return ask(guest, 'guest-info')
        except Refused as error:
            with open(log, encoding='utf-8', errors='replace') as file:
                console = file.read()
            if 'ended with status' in console or time.monotonic() > end:
                raise ToolError(f'no agent: {error}',
                                console[-600:]) from error
            time.sleep(1)


def blocked(env, words):
    guest, log = agent_guest(env, words)
    info = wait_for_agent(guest, log)
    enabled = {each['name']: each['enabled']
               for each in info['supported_commands']}
    off = {name for name, on in enabled.items() if not on}
    expect(off & {'guest-file-open', 'guest-file-close'},
           {'guest-file-open', 'guest-file-close'}, 'what is blocked')
    check(enabled['guest-ping'], 'guest-ping is blocked, too')
    text = refused(lambda: ask(guest, 'guest-file-open'), 'disabled')
    return f'guest-file-open through libvirt: {text}'


@case('qemu-ga', AGENT,
      '--block-rpcs=guest-file-open,guest-file-close and the channel')
def qemu_ga(env):
    return blocked(env, '--block-rpcs=guest-file-open,guest-file-close')


@case('qemu-ga-blacklist', AGENT,
      '--blacklist=guest-file-open guest-file-close')
def qemu_ga_blacklist(env):
    return blocked(env, '--blacklist=guest-file-open guest-file-close')


@case('qemu-ga-list', AGENT, 'qemu-ga --blacklist ?')
def qemu_ga_list(env):
    done = subprocess.run([agent_of(env.qemu_dir), '--blacklist', '?'],
                          capture_output=True, text=True, check=False)
    names = done.stdout.split()
    check(done.returncode == 0 and 'guest-file-open' in names,
          f'no list of commands: {done.stdout}{done.stderr}')
    return f'{len(names)} commands, a line each'


# --- libvirt itself ---------------------------------------------------------

@case('sandbox', SANDBOX, 'seccomp_sandbox at its default')
def sandbox(env):
    guest = env.domain().start()
    seen = guest.option('-sandbox', 'on')
    check('resourcecontrol=deny' in seen, f'-sandbox {seen}')
    expect(guest.status('Seccomp'), '2', 'Seccomp in /proc')
    return f'-sandbox {seen}; a filter is active'


@case('probing', SANDBOX, 'libvirt asks the binary what it can do')
def probing(env):
    cache = '/var/cache/libvirt/qemu/capabilities'
    for arch in ('x86_64', 'aarch64'):
        copy = os.path.join('/var/lib/libvirt', f'qemu-system-{arch}')
        # A name that libvirt has not seen yet; data is found from the original
        os.symlink(env.emulator(arch), copy)
        env.at_end(lambda path=copy: os.unlink(path))
        before = set(os.listdir(cache)) if os.path.isdir(cache) else set()
        start = time.monotonic()
        env.libvirt.virsh('domcapabilities', '--emulatorbin', copy,
                          '--arch', arch, '--virttype', 'qemu')
        seconds = time.monotonic() - start
        check(set(os.listdir(cache)) - before, 'it was not asked: cached')
        check(seconds < PROBE_SECONDS,
              f'{arch} took {seconds:.1f} s, not below {PROBE_SECONDS}')
        env.measured.append(f'{arch} {seconds:.1f} s')
    return f'qemu-system-x86_64 and -aarch64: below {PROBE_SECONDS} seconds ' \
        'each, with no cache'
