# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A private view of this machine for libvirt: its folders, /dev and network.

libvirt's folders are fixed when it is built.  So the suite runs in mount, PID,
IPC and network namespaces of its own, with the kit laid over /usr.  Nothing of
it reaches the machine's own libvirt, and all of it ends with the suite."""

import fcntl
import glob
import os
import signal
import socket
import stat
import struct
import subprocess
import threading

from nmtools import ToolError

MARK = 'NEARMETAL_LIBVIRT_SPACE'
# A descriptor: its end tells that the process outside is no more
ALIVE = 'NEARMETAL_LIBVIRT_ALIVE'
END_SECONDS = 60
NODES = ('null', 'zero', 'full', 'random', 'urandom', 'tty', 'kvm',
         'loop-control')
LOOPS = 8
# The first process of the PID namespace: a shell, since it waits for every
# child.  libvirt's daemons leave orphans to it, and wait until they are gone.
INIT = 'status=0; "$@" || status=$?; exit "$status"'
# Debian's libvirtd looks it up before it reads its configuration, and does not
# start without it.  The IDs are those that Debian keeps for it.
ACCOUNTS = {'passwd': 'libvirt-qemu:x:64055:64055::/:/bin/false\n',
            'group': 'libvirt-qemu:x:64055:\n'}
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def inside():
    return bool(os.environ.get(MARK))


def enter(command, folder, kit):
    """Run COMMAND in new namespaces; its exit status."""
    alive, held = os.pipe()
    env = dict(os.environ, **{MARK: f'{folder}:{kit}', ALIVE: str(alive)})
    with subprocess.Popen(
            ['unshare', '--mount', '--pid', '--ipc', '--net', '--fork',
             '--kill-child', '--mount-proc', '--propagation', 'private',
             'sh', '-c', INIT, 'sh', *command], env=env,
            pass_fds=[alive]) as process:
        os.close(alive)
        try:
            return process.wait()
        except BaseException:
            os.close(held)
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


def end_with_parent():
    """End, with all that is taken back then, when the caller of enter()
    has."""
    alive = int(os.environ[ALIVE])

    def watch():
        os.read(alive, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _mount(*words):
    done = subprocess.run(['mount', *words], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise ToolError(f'mount {" ".join(words)}: {done.stderr.strip()}')


def _overlay(folder, target, lower):
    """What is written below TARGET goes to FOLDER instead."""
    parts = [os.path.join(folder, 'over' + target.replace('/', '-'), name)
             for name in ('upper', 'work')]
    for part in parts:
        os.makedirs(part)
    _mount('-t', 'overlay', 'overlay', '-o', f'lowerdir={":".join(lower)},'
           f'upperdir={parts[0]},workdir={parts[1]}', target)


def _accounts():
    """What the packages of libvirt would have added to the machine's own."""
    for name, line in ACCOUNTS.items():
        with open('/etc/' + name, 'r+', encoding='utf-8') as file:
            text = file.read()
            if any(each.startswith(line.split(':', maxsplit=1)[0] + ':')
                   for each in text.split('\n')):
                continue
            file.write(line if text.endswith('\n') else '\n' + line)


def _devices():
    """/dev with what libvirt and QEMU need; nodes made there go with it."""
    kept = {}
    for name in (*NODES, *(f'loop{i}' for i in range(LOOPS))):
        try:
            found = os.stat('/dev/' + name)
        except OSError:
            continue
        kept[name] = (found.st_mode, found.st_rdev)
    _mount('-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/dev')
    for name, (mode, number) in kept.items():
        os.mknod('/dev/' + name, mode, number)
        os.chmod('/dev/' + name, stat.S_IMODE(mode))
    for name in ('pts', 'shm', 'hugepages', 'hugepages-1G', 'net', 'vfio'):
        os.mkdir('/dev/' + name)
    _mount('-t', 'devpts', '-o', 'newinstance,ptmxmode=666', 'devpts',
           '/dev/pts')
    os.symlink('pts/ptmx', '/dev/ptmx')
    os.symlink('/proc/self/fd', '/dev/fd')
    _mount('-t', 'tmpfs', 'tmpfs', '/dev/shm')


def _huge_pages():
    """Mounts of the sizes that this kernel has; libvirt looks for them."""
    for size, target in (('2M', '/dev/hugepages'), ('1G', '/dev/hugepages-1G')):
        try:
            _mount('-t', 'hugetlbfs', '-o', f'pagesize={size}', 'hugetlbfs',
                   target)
        except ToolError:
            pass        # the case for this size says what is missing


def _loopback():
    """The loopback interface of the network namespace, up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, SIOCGIFFLAGS,
                             struct.pack('16sH22x', b'lo', 0))
        flags = struct.unpack('16sH22x', answer)[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS,
                    struct.pack('16sH22x', b'lo', flags | IFF_UP))


def _modules(kit):
    """libvirt's modules of the kit alone: others do not fit its daemon."""
    for path in glob.glob(f'{kit}/top/usr/lib/*/libvirt'):
        _mount('--bind', path, path.removeprefix(f'{kit}/top'))


def set_up():
    """In the new namespaces: the view; the folder and the kit."""
    folder, kit = os.environ[MARK].split(':')
    _mount('-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', folder)
    _overlay(folder, '/usr', [f'{kit}/top/usr', '/usr', f'{kit}/under/usr'])
    _modules(kit)
    _overlay(folder, '/etc', ['/etc', f'{kit}/under/etc'])
    _accounts()
    _overlay(folder, '/var', ['/var'])
    _mount('-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run')
    _devices()
    _huge_pages()
    _loopback()
    return folder
