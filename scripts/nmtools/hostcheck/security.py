# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Labels of running VMs; who can read and write the state of their TPMs."""

import re
import shlex
import stat

from .result import failed, passed, skipped, warn
from .sysroot import Unreadable, whole

ENFORCE = '/sys/fs/selinux/enforce'
APPARMOR = '/sys/module/apparmor/parameters/enabled'
CONFIG = '/etc/libvirt/qemu.conf'
LOCALCA = '/var/lib/swtpm-localca'
STATES = '/var/lib/libvirt/swtpm'
# The keys of the CA, and the state of a TPM
SECRET = re.compile(r'.*key.*\.pem$|.*\.(permall|volatilestate|savestate)$')
MOST_FILES = 10000
DEEPEST = 4


def protection(host):
    """'enforcing', 'permissive', 'apparmor' or None."""
    try:
        return ('permissive', 'enforcing')[int(
            host.root.word(ENFORCE, ('0', '1')))]
    except Unreadable as reason:
        if not reason.missing:
            raise
    try:
        if host.root.word(APPARMOR, ('Y', 'N')) == 'Y':
            return 'apparmor'
    except Unreadable as reason:
        if not reason.missing:
            raise
    return None


def categories(label):
    """Those that set a VM apart, as in system_u:system_r:svirt_t:s0:c1,c2;
    None if this is no label of sVirt, or has none."""
    parts = label.split(':', 3)
    if len(parts) < 4 or not parts[2].startswith('svirt'):
        return None
    match = re.fullmatch(r's\d+:(c\d+(?:[,.]c\d+)*)', parts[3])
    return match[1] if match and match[1] != 'c0.c1023' else None


def selinux(vm, label, others):
    own = categories(label)
    if own is None:
        return failed(label, "<seclabel type='dynamic' model='selinux' "
                      "relabel='yes'/>, and start it with libvirt",
                      subject=vm.name)
    if own in others:
        return failed(f'{label}, as {others[own]} has', 'give each VM '
                      'categories of its own: type=\'dynamic\'',
                      subject=vm.name)
    others[own] = vm.name
    return passed(label, vm.name)


def apparmor(vm, label):
    if label.endswith('(enforce)'):
        return passed(label, vm.name)
    return warn(label, 'set security_driver = "apparmor" in '
                + CONFIG + ', and start it with libvirt', subject=vm.name)


def label_of(host, vm, mode, others):
    try:
        label = host.root.text(f'/proc/{vm.pid}/attr/current')
    except Unreadable as reason:
        return skipped(str(reason), vm.name)
    if not label:
        return skipped('no label', vm.name)
    if mode == 'apparmor':
        return apparmor(vm, label)
    return selinux(vm, label, others)


def has_apparmor(host):
    """Is AppArmor what this system has, rather than SELinux?"""
    if host.root.present('/etc/selinux/config'):
        return False
    if host.root.present('/etc/apparmor.d'):
        return True
    try:
        text = host.root.text('/etc/os-release')
    except Unreadable:
        return False
    names = re.findall(r'^ID(?:_LIKE)?=(.*)$', text, re.M)
    words = ' '.join(names).replace('"', '').replace("'", '').split()
    return bool({'debian', 'ubuntu', 'suse', 'opensuse'} & set(words))


def turn_on(host):
    if has_apparmor(host):
        return ('install apparmor; on the command line: apparmor=1 '
                'security=apparmor')
    return ('SELINUX=enforcing in /etc/selinux/config, selinux=1 on the '
            'command line')


def svirt(host):
    mode = protection(host)
    if mode is None and not (host.root.present('/sys/fs')
                             and host.root.present('/sys/module')):
        return skipped('/sys/fs or /sys/module: does not exist')
    if mode is None:
        return warn('neither SELinux nor AppArmor: a VM that breaks out can '
                    'reach the others', turn_on(host))
    if mode == 'permissive':
        return warn('SELinux is permissive: labels protect nothing',
                    'SELINUX=enforcing in /etc/selinux/config',
                    'setenforce 1')
    if not host.vms:
        return skipped(('AppArmor' if mode == 'apparmor'
                        else f'SELinux {mode}') + '; no VM runs')
    others = {}
    return [label_of(host, vm, mode, others) for vm in host.vms]


# --- state of TPMs ----------------------------------------------------------

def swtpm_owner(host):
    """(user, group) that libvirt runs swtpm as; the comment in its file says
    what it was built with."""
    try:
        text = host.root.text(CONFIG)
    except Unreadable:
        text = ''
    found = []
    for name in ('swtpm_user', 'swtpm_group'):
        for pattern in (r'^\s*', r'^\s*#\s*'):
            match = re.search(pattern + name
                              + r'''\s*=\s*(["'])([\w.+-]+)\1''', text, re.M)
            if match:
                break
        found.append(match[2] if match else None)
    user = found[0] or ('swtpm' if identity(host, 'swtpm') is not None
                        and identity(host, 'tss') is None else 'tss')
    return user, found[1] or user


def identity(host, user):
    """The number of a user, None if there is no such user; libvirt takes
    numbers as well, with '+' if need be."""
    if whole(user.removeprefix('+')) is not None:
        return whole(user.removeprefix('+'))
    try:
        for line in host.root.text('/etc/passwd').split('\n'):
            words = line.split(':')
            if words[0] == user and len(words) > 2:
                return whole(words[2])
    except Unreadable:
        pass
    return None


def walk(host, path, depth=0, reachable=True):
    """(path, status, whether others can get there) of a folder and of what is
    in it, not too much of it; of links only the first is followed."""
    status = host.root.status(path, follow=not depth)
    yield path, status, reachable
    if not stat.S_ISDIR(status.st_mode) or depth >= DEEPEST:
        return
    reachable = reachable and bool(status.st_mode & stat.S_IXOTH)
    for name in host.root.names(path):
        try:
            yield from walk(host, f'{path}/{name}', depth + 1, reachable)
        except Unreadable as reason:
            # A TPM that starts or ends makes and removes files
            if not reason.missing:
                raise


def exposed(host, folder):
    """(path, mode, what others can do) of the worst file, or None."""
    for number, (path, status, reachable) in enumerate(walk(host, folder)):
        mode = status.st_mode
        if number >= MOST_FILES:
            raise Unreadable(folder, f'nothing wrong with {MOST_FILES} files; '
                             'there are more')
        if stat.S_ISLNK(mode) or not reachable:
            continue
        if mode & stat.S_IWOTH:
            return path, mode, 'all users can write it'
        if (stat.S_ISREG(mode) and mode & stat.S_IROTH
                and SECRET.match(path.rsplit('/', 1)[1])):
            return path, mode, 'all users can read it'
    return None


def repair(folder, owner):
    """The right way: 750, of the user that swtpm runs as; libvirt passes
    through its own folder as another user, so there 711."""
    # The slash is for find and chown -R, which do not follow a link
    path = shlex.quote(folder + '/')
    if folder == STATES:
        return [f'chmod 711 {path}',
                f'chmod -R o-w {path}',
                f'find {path} -type f -exec chmod o-rwx {{}} +']
    return [f'chown -R {owner[0]}:{owner[1]} {path}',
            # After chmod 777 an X would leave files executable
            f'find {path} -type d -exec chmod 750 {{}} +',
            f'find {path} -type f -exec chmod 640 {{}} +']


def folder_state(host, folder, owner):
    status = host.root.status(folder, follow=True)
    if not stat.S_ISDIR(status.st_mode):
        raise Unreadable(folder, 'is no folder')
    mode = f'{status.st_mode & 0o7777:04o}'
    found = exposed(host, folder)
    right = ('mode 711, and nothing in it for others' if folder == STATES else
             f'owner {owner[0]}:{owner[1]}, mode 750')
    if found:
        path, worst, what = found
        return failed(f'mode {worst & 0o7777:04o}'
                      + (f' of {path[len(folder) + 1:]}'
                         if path != folder else '') + f': {what}', right,
                      *repair(folder, owner), subject=folder)
    user = identity(host, owner[0])
    if folder == LOCALCA and user is None:
        return warn(f'mode {mode}; there is no user {owner[0]}',
                    f'set swtpm_user in {CONFIG}', subject=folder)
    if folder == LOCALCA and user not in (0, status.st_uid):
        return warn(f'mode {mode}, not owned by {owner[0]}: swtpm cannot '
                    'write it, VMs do not start', right,
                    *repair(folder, owner), subject=folder)
    return passed(f'mode {mode}', folder)


def swtpm_state(host):
    results = []
    owner = swtpm_owner(host)
    for folder in (LOCALCA, STATES):
        try:
            results.append(folder_state(host, folder, owner))
        except Unreadable as reason:
            if not reason.missing:
                results.append(skipped(str(reason), folder))
    return results or skipped(f'neither {LOCALCA} nor {STATES} exists')


CHECKS = (
    ('svirt', 'labels that keep running VMs apart', svirt),
    ('swtpm-state', 'who can read and write the state of TPMs', swtpm_state),
)
