# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Start a QEMU with a command line from elsewhere, ask it to quit, and tell what
it said.  The files that the line names are made up; the network is empty."""

import ctypes
import fcntl
import json
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
from collections import namedtuple

from nmtools.running import die_with_parent

Result = namedtuple('Result', 'state out')

DEADLINE = 90
ASK = b'{"execute": "qmp_capabilities"}{"execute": "quit"}'
# Folders whose files are what they are
REAL = r'/(?!/)(?:dev/(?:null|zero|u?random|kvm|net|vhost|vfio|fdset)|proc|sys)\b'
PATH = re.compile(r'''(?<![\w/.:@}-])(?!''' + REAL + r''')/[\w.@+-][\w./@+:-]*'''
                  r'''(?=$|["',\]} ;])''')
RELATIVE = re.compile(r'(?<=[=:,"])[\w-][\w./-]*\.(?:img|qcow2|raw|iso|bin|fd|'
                      r'dtb|elf|rom|qed|vmdk|cow|pem|txt|cfg|dat|xml|aml)\b')
# Options that leave, fork or would need somebody who is not there
DROPPED = {'-daemonize': 0, '-enable-kvm': 0, '-S': 0, '-pidfile': 1,
           '-runas': 1, '-run-with': 1, '-chroot': 1, '-enable-fips': 0,
           '-no-acpi': 0, '-no-hpet': 0, '-spice': 1}
IMAGE_SIZE = 64 << 20
STREAM_FD = re.compile(r'^fd:(\d+)$')
# Where no descriptor is that QEMU opens itself, and reads another stream of
STREAM_FDS = 1000
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def alone_in_network():
    """An empty network of its own, with a loopback device that is up."""
    libc = ctypes.CDLL(None, use_errno=True)
    flags = CLONE_NEWNET | (0 if os.geteuid() == 0 else CLONE_NEWUSER)
    if libc.unshare(flags):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack('16sH14x', b'lo', IFF_UP))
    return True


def can_be_alone():
    """Can lines that use the same port run side by side?"""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if alone_in_network() else 1)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def without_dropped(args):
    left = iter(args)
    kept = []
    for arg in left:
        name = re.sub('^--', '-', arg)
        if name in DROPPED:
            for _ in range(DROPPED[name]):
                next(left, None)
        else:
            kept.append(arg)
    return kept


def under_emulation(arg):
    """Without KVM, and with nobody to wait for."""
    arg = re.sub(r'^kvm\b', 'tcg', re.sub(r'\baccel=kvm\b', 'accel=tcg', arg))
    arg = re.sub(r'"wait":\s*true', '"wait":false', arg)
    if re.search(r'\bserver(=on)?\b', arg) and 'wait=' not in arg and (
            not arg.startswith('{')) and 'nowait' not in arg:
        arg += ',wait=off'
    arg = re.sub(r'"driver":"host_(?:device|cdrom)"', '"driver":"file"', arg)
    arg = STREAM_FD.sub(lambda m: f'fd:{STREAM_FDS + int(m[1])}', arg)
    # Nobody knows libvirt's master key
    if '"keyid":"masterKey0"' in arg:
        arg = re.sub(r',"(?:keyid|iv|format)":"[^"]*"', '', arg)
    # Only what is mapped and not touched may be larger than the host
    return re.sub(r'\bwait=on\b', 'wait=off',
                  re.sub(r'"prealloc":\s*true', '"prealloc":false', arg))


def without_libvirts_monitor(args):
    """Its socket comes as a file descriptor, from libvirt."""
    kept = []
    for arg in args:
        if 'charmonitor' in arg:
            kept.pop()
        else:
            kept.append(arg)
    return kept


def adapted(line):
    args = without_libvirts_monitor(without_dropped(line.args))
    args = [under_emulation(arg) for arg in args]
    if 'vhost-user' in ' '.join(args):
        args = [re.sub(r',reconnect(-ms)?=\d+', '', arg) for arg in args]
    return [re.sub(r'^host\b', 'max', arg) if args[i - 1:i] == ['-cpu'] else arg
            for i, arg in enumerate(args)]


class Place:
    """A folder in which all files that a line names are found."""

    def __init__(self, line, image):
        args = adapted(line)
        self.top = tempfile.mkdtemp(prefix='nm-cl.')
        self.image = image
        # Flash of Arm's virt has one size, and x86 has little room for it
        self.flash = (64 if line.arch == 'aarch64' else 2) << 20
        self.formats = self.formats_of(args)
        self.args = [PATH.sub(self.moved, arg) for arg in args]
        for arg in self.args:
            for found in RELATIVE.finditer(arg):
                self.make(os.path.join(self.top, found[0]), found[0])

    @staticmethod
    def formats_of(args):
        """Which -blockdev files hold qcow2."""
        nodes, formats = {}, {}
        for arg in args:
            if not arg.startswith('{'):
                continue
            try:
                node = json.loads(arg)
            except ValueError:
                continue
            if 'filename' in node:
                nodes[node.get('node-name')] = node['filename']
            elif isinstance(node.get('file'), str):
                formats[nodes.get(node['file'])] = node.get('driver')
        return formats

    def moved(self, found):
        path = f'{self.top}/f{found[0]}'
        self.make(path, found[0])
        return path

    def make(self, path, name):
        if os.path.exists(path):
            return
        if re.search(r'\.sock\b|socket|\.pid|/$|\.log|agent|monitor', name):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return
        if re.search(r'hugepages|/(?:dir|ram|tls|pki\S*|memory|path/\w+)$|'
                     r'mountpoint|/dev/(?:shm|hugepages\S*)$|/tmp$', name):
            os.makedirs(path, exist_ok=True)
            return
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if name.endswith('qcow2') or self.formats.get(name) == 'qcow2':
                shutil.copyfile(self.image, path)
            elif re.search(r'\.key|secret|passw|\.aes', name):
                with open(path, 'wb') as file:
                    file.write(b'0123456789abcdef0123456789abcdef')
            else:
                with open(path, 'wb') as file:
                    file.truncate(self.flash if re.search(
                        r'OVMF|ovmf|edk2|AAVMF|nvram|VARS|efi', name)
                        else IMAGE_SIZE)
        except OSError:
            pass                # a file where another path has a folder

    def remove(self):
        shutil.rmtree(self.top, ignore_errors=True)


FD = r'\b(?:vhost)?fds?=(\d+)|"(?:vhost)?fds?":"(\d+)"'


def null():
    return os.open('/dev/null', os.O_RDWR)


def silent():
    """A pipe that nothing is written to, and that does not end."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    return reader


def handed_over(args):
    """Descriptors that a line expects to be open, and what opens each."""
    numbers = {}
    for arg in args:
        if stream := STREAM_FD.match(arg):
            numbers[int(stream[1])] = silent
        for found in re.finditer(FD, arg):
            number = int(found[1] or found[2])
            if 10 < number < 4000:
                listens = arg.startswith('socket,') and 'server=' in arg
                numbers[number] = listening if listens else null
    return numbers


def listening():
    sock = socket.socket(socket.AF_UNIX)
    sock.bind('')               # Linux picks an abstract name
    sock.listen()
    return sock.detach()


def prepared(control, fds):
    """What the child does before it becomes QEMU."""
    def prepare():
        alone_in_network()
        die_with_parent()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number, opened in fds.items():
            os.dup2(opened(), number)
        os.set_inheritable(control, True)
    return prepare


def normalised(text, top, binary):
    text = text.replace(binary, 'QEMU').replace(top, 'TOP')
    text = text.replace(os.path.dirname(os.path.realpath(binary)), 'BUILD')
    # Where in the source a line stands may differ
    text = re.sub(r'(?<=\.c:)\d+(?=: )', '#', text)
    text = re.sub(r'\d{4}-\d\d-\d\dT[\d:.]+Z ', '', text)
    text = re.sub(r'/dev/pts/\d+|\bpid \d+|0x[0-9a-f]{9,}|/tmp/[\w.]*\w{6}\b', '#', text)
    return text.split('\n')


def state_of(process, answers, late):
    if late:
        return 'does not end'
    if process.returncode < 0:
        return f'killed by {signal.Signals(-process.returncode).name}'
    if answers.count(b'"return": {}') == 2:
        return f'started, {process.returncode}'
    return f'ended, {process.returncode}'


def answers_on(sock):
    sock.setblocking(False)
    got = b''
    try:
        while piece := sock.recv(65536):
            got += piece
    except OSError:
        pass
    return got


def try_line(binary, line, image, deadline=DEADLINE):
    """Start BINARY with the line: how it ended, and its lines of output."""
    place = Place(line, image)
    ours, theirs = socket.socketpair()
    ours.sendall(ASK)
    control = theirs.fileno()
    command = [binary, *place.args, '-S',
               '-chardev', f'socket,id=nm-control,fd={control}',
               '-mon', 'chardev=nm-control,mode=control']
    if not {'-display', '-nographic', '-vnc', '-curses'} & set(place.args):
        command += ['-display', 'none']
    fds = handed_over(place.args)
    process = subprocess.Popen(
        command, cwd=place.top, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, close_fds=False,
        preexec_fn=prepared(control, fds),
        env={**os.environ, 'HOME': place.top, 'LC_ALL': 'C.UTF-8'})
    theirs.close()
    late = False
    try:
        out = process.communicate(timeout=deadline)[0]
    except subprocess.TimeoutExpired:
        late = True
        process.kill()
        out = process.communicate()[0]
    state = state_of(process, answers_on(ours), late)
    ours.close()
    place.remove()
    return Result(state, normalised(out.decode(errors='replace'), place.top,
                                    binary))
