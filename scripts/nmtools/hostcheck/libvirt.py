# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Who can reach libvirt over the network, and how they prove who they are."""

import os
import re
import shlex
from dataclasses import dataclass

from .result import failed, passed, skipped, warn
from .sysroot import Unreadable, whole

DAEMONS = ('libvirtd', 'virtproxyd')
KINDS = ('tcp', 'tls')
# As the daemons have it where the file says nothing
DEFAULTS = {'listen_tls': '1', 'listen_tcp': '0', 'auth_tcp': 'sasl',
            'auth_tls': 'none', 'tls_no_verify_certificate': '0',
            'tcp_port': '16509', 'tls_port': '16514'}
# Where systemd looks, the first it finds counts
UNITS = ('/etc/systemd/system', '/run/systemd/system',
         '/usr/lib/systemd/system', '/lib/systemd/system')
SASL = '/etc/sasl2/libvirt.conf'
SASLDB = '/etc/sasldb2'         # where no other is named
# By what is wrong with them
WEAK = {'digest-md5': 'broken (RFC 6331)', 'cram-md5': 'MD5',
        'plain': 'the password itself', 'login': 'the password itself',
        'ntlm': 'MD4', 'scram-sha-1': 'SHA-1', 'scram-sha-1-plus': 'SHA-1',
        'kerberos_v4': 'DES', 'passdss-3des-1': 'SHA-1'}
STRONG = re.compile('gssapi|gss-spnego|gs2-krb5|gs2-iakerb|external|'
                    'scram-sha-(224|256|384|512)(-plus)?')
# Those that encrypt what follows; without TLS libvirt takes no others
ENCRYPTING = ('gssapi', 'gss-spnego', 'digest-md5', 'kerberos_v4')
# A statement of libvirt's files, up to its end: a line's, or a semicolon
STATEMENT = re.compile(
    r'''\s*(?:\#[^\r\n]*|
    (?P<name>[A-Za-z][\w:.-]*)[ \t]*=[ \t]*
    (?:"""(?P<long>.*?)"""|"(?P<double>[^"\r\n]*)"|'(?P<single>[^'\r\n]*)'|
    [-+]?(?P<number>[0-9]{1,20})|\[(?:[^]"']|"[^"]*"|'[^']*')*\])
    [ \t]*(?:\#[^\r\n]*)?)(?:[ \t]*;|[ \t]*[\r\n]|[ \t]*\Z)''',
    re.VERBOSE | re.DOTALL | re.ASCII)


@dataclass
class Daemon:
    """One that may listen, and how, as far as the files tell."""
    name: str
    settings: dict
    sockets: dict           # by 'tcp' and 'tls': what makes it listen, or None
    trouble: str = ''       # why the configuration cannot be told

    def auth(self, kind):
        return self.settings['auth_' + kind].lower()


def statements(text, path):
    """(name, value) of each; lists have no value here."""
    text = text.rstrip()
    done = 0
    while done < len(text):
        match = STATEMENT.match(text, done)
        if not match:
            # Where the statement begins that is none
            begin = len(text) - len(text[done:].lstrip())
            line = len(re.findall('\r\n?|\n', text[:begin])) + 1
            raise Unreadable(path, f'cannot be understood in line {line}')
        done = match.end()
        if match['number']:
            yield match['name'], str(int(match['number']))
        elif match['name']:
            yield match['name'], next(
                (match[kind] for kind in ('long', 'double', 'single')
                 if match[kind] is not None), '')


def configuration(host, path):
    """The settings named above; of two the first counts, as to libvirt."""
    found = {}
    for name, value in statements(host.root.text(path, strip=False),
                                  path):
        if name in DEFAULTS:
            found.setdefault(name, value)
    return {**DEFAULTS, **found}


# --- does it listen? --------------------------------------------------------

def open_ports(host):
    """Ports that are listened to, on other addresses than the loopback's."""
    found = set()
    for path in ('/proc/net/tcp', '/proc/net/tcp6'):
        try:
            lines = host.root.text(path, 64 << 20).split('\n')[1:]
        except Unreadable:
            continue
        for line in lines:
            words = line.split()
            if len(words) < 4 or words[3] != '0A' or ':' not in words[1]:
                continue
            address, _, port = words[1].rpartition(':')
            if re.fullmatch('[0-9A-F]{4}', port) and not loopback(address):
                found.add(int(port, 16))
    return found


def loopback(address):
    """127.x.y.z, ::1, or the first in the second's clothes; in words of four
    bytes, each as a little-endian host has them."""
    return (re.fullmatch(r'[0-9A-F]{6}7F', address) is not None
            or address == '0' * 24 + '01000000'
            or re.fullmatch(r'0{16}FFFF0000[0-9A-F]{6}7F', address)
            is not None)


def unit_enabled(host, unit):
    """Wanted by any target; systemctl enable makes such links, mask makes
    one to /dev/null that overrules them."""
    if any(host.root.link(f'{folder}/{unit}') == 'null' for folder in UNITS):
        return False
    for folder in UNITS:
        for name in host.root.names(folder):
            if name.endswith(('.wants', '.requires')) and host.root.present(
                    f'{folder}/{name}/{unit}'):
                return True
    return False


def option_files(host, name):
    """Files that may give the daemon the option --listen."""
    found = [f'/etc/sysconfig/{name}', f'/etc/default/{name}']
    # The unit itself is one file, what is dropped in are all
    unit = [f'{folder}/{name}.service' for folder in UNITS]
    found += [path for path in unit if host.root.present(path)][:1]
    for path in unit:
        found += [f'{path}.d/{one}' for one in host.root.names(path + '.d')]
    return found


def says_listen(text):
    """--listen or -l, perhaps with other flags, in a line that is no comment;
    lines that end with a backslash go on."""
    return any(re.search(r'''[\s"'=](--listen|-[dv]*l)(\s|["']|$)''', line)
               for line in text.replace('\\\n', ' ').split('\n')
               if not line.lstrip().startswith(('#', ';')))


def running(host, name):
    """(number, words) of each process of a daemon."""
    for pid in host.root.names('/proc'):
        if whole(pid) is None:
            continue
        try:
            words = host.root.data(f'/proc/{pid}/cmdline').decode(
                errors='replace').rstrip('\0').split('\0')
        except Unreadable:
            continue
        if os.path.basename(words[0]) == name:
            yield pid, words


def told_to_listen(host, name):
    """The file, or the process, that has the option --listen (-l)."""
    for path in option_files(host, name):
        try:
            if says_listen(host.root.text(path)):
                return path
        except Unreadable:
            continue
    for pid, words in running(host, name):
        if says_listen(' '.join(words)):
            return f'process {pid}'
    return None


def sockets(host, name, settings):
    """What makes it listen: a unit of systemd, or the option --listen with
    the setting."""
    found = {}
    listen = told_to_listen(host, name)
    for kind in KINDS:
        unit = f'{name}-{kind}.socket'
        found[kind] = None
        if unit_enabled(host, unit):
            found[kind] = unit
        elif listen and settings['listen_' + kind] == '1':
            found[kind] = listen
    return found


def daemons(host):
    """Those that are installed, each with what its files tell."""
    found = []
    for name in DAEMONS:
        path = f'/etc/libvirt/{name}.conf'
        trouble = ''
        try:
            settings = configuration(host, path)
        except Unreadable as reason:
            settings = dict(DEFAULTS)
            trouble = '' if reason.missing else str(reason)
            if reason.missing and not any(
                    unit_enabled(host, f'{name}-{kind}.socket')
                    for kind in KINDS) and not told_to_listen(host, name):
                continue
        found.append(Daemon(name, settings, sockets(host, name, settings),
                            trouble))
    unexplained(host, found)
    return found


def unexplained(host, found):
    """A port that is open though no file says why: of the daemon that runs,
    else of any of them."""
    ports = open_ports(host)
    up = [one for one in found if any(running(host, one.name))] or found
    for kind in KINDS:
        if any(one.sockets[kind] for one in found):
            continue
        for one in up:
            port = one.settings[kind + '_port']
            if whole(port) in ports:
                one.sockets[kind] = f'port {port} is open'


# --- the verdict ------------------------------------------------------------

def set_line(daemon, name, value):
    """Commands that change a setting.  The first one counts, wherever there
    are others."""
    path = f'/etc/libvirt/{daemon.name}.conf'
    return [f"sed -i -e '1i {name} = {value}' "
            f"-e '/^[[:space:]]*{name}[[:space:]]*=[^;]*$/d' {path}",
            f'systemctl restart {daemon.name}']


def judge(daemon):
    kinds = [kind for kind in KINDS if daemon.sockets[kind]]
    where = ', '.join(f'{kind.upper()} with {daemon.auth(kind)} '
                      f'({daemon.sockets[kind]})' for kind in kinds)
    name = daemon.name
    if daemon.trouble:
        if kinds:
            return warn(f'listens, but how cannot be told: {daemon.trouble}',
                        'repair the file, or run as root', subject=name)
        return skipped(daemon.trouble, name)
    if 'tcp' in kinds and daemon.auth('tcp') == 'none':
        return failed(where + ': anybody is let in', 'auth_tcp = "sasl"',
                      *set_line(daemon, 'auth_tcp', '"sasl"'), subject=name)
    if ('tls' in kinds and daemon.auth('tls') == 'none'
            and daemon.settings['tls_no_verify_certificate'] != '0'):
        return failed(where + ', certificates unverified: anybody is let in',
                      'tls_no_verify_certificate = 0',
                      *set_line(daemon, 'tls_no_verify_certificate', '0'),
                      subject=name)
    for kind in kinds:
        if daemon.auth(kind) not in ('sasl', 'none'):
            return warn(f"auth_{kind} = '{daemon.auth(kind)}' is unknown",
                        'set it to "sasl"', subject=name,
                        *set_line(daemon, 'auth_' + kind, '"sasl"'))
    if not kinds:
        return closed(daemon)
    return passed(where.replace('TLS with none', 'TLS with certificates'),
                  name, {'listens': kinds})


def closed(daemon):
    """Nothing listens, but what if it did?"""
    if (daemon.settings['listen_tcp'] == '1'
            and daemon.auth('tcp') == 'none'):
        return warn('closed, but set up for TCP without authentication',
                    'auth_tcp = "sasl"', subject=daemon.name,
                    *set_line(daemon, 'auth_tcp', '"sasl"'))
    return passed('no remote access', daemon.name, {'listens': []})


def libvirt_auth(host):
    found = daemons(host)
    if not found:
        return skipped('neither libvirtd nor virtproxyd is set up')
    return [judge(daemon) for daemon in found]


# --- SASL -------------------------------------------------------------------

def sasl_settings(host):
    """'name: value' lines, in lower-case names; a comment's begin with #.  Of
    two lines the first counts, as to the library."""
    found = {}
    for line in host.root.text(SASL).split('\n'):
        name, colon, value = line.partition(':')
        if colon:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def uses_sasl(host):
    """Kinds of connections that ask for SASL."""
    return {kind for daemon in daemons(host) for kind in KINDS
            if daemon.sockets[kind] and daemon.auth(kind) == 'sasl'}


def sasl_change(mechanism):
    """The last line of a file that somebody edited may have no end."""
    return [f"sed -i '/^[[:space:]]*mech_list[[:space:]]*:/d' {SASL}",
            f"printf '\\n%s\\n' 'mech_list: {mechanism}' >> {SASL}"]


def mechanisms(host, used):
    try:
        settings = sasl_settings(host)
    except Unreadable as reason:
        if not reason.missing:
            raise
        if not used:
            return skipped('libvirt does not use SASL')
        return warn(f'{SASL} does not exist: all mechanisms are offered',
                    'name one', f'mkdir -p {os.path.dirname(SASL)}',
                    f'touch {SASL}', *sasl_change('scram-sha-256'))
    names = settings.get('mech_list', '').lower().split()
    # Without TLS a mechanism must encrypt, which SCRAM does not
    better = 'gssapi' if 'tcp' in used else 'scram-sha-256'
    remedy = ('gssapi (Kerberos), or scram-sha-256 with TLS instead of TCP'
              if 'tcp' in used else 'scram-sha-256 with TLS, or gssapi')
    if not names:
        return warn('no mech_list: all mechanisms are offered', remedy,
                    *sasl_change(better))
    if 'anonymous' in names:
        return failed(' '.join(names) + ': anonymous lets anybody in', remedy,
                      *sasl_change(better))
    weak = [f'{name}: {WEAK.get(name, "unknown")}' for name in names
            if not STRONG.fullmatch(name)]
    if weak:
        return warn(', '.join(weak), remedy, *sasl_change(better))
    if 'tcp' in used and not set(names) & set(ENCRYPTING):
        return warn(' '.join(names) + ' does not encrypt: libvirt refuses it '
                    'over TCP', remedy, *sasl_change(better))
    return passed(' '.join(names))


def sasl(host):
    results = [mechanisms(host, uses_sasl(host))]
    try:
        path = sasl_settings(host).get('sasldb_path', SASLDB)
        mode = (host.root.status(path, follow=True).st_mode
                if path.startswith('/') else 0)
    except Unreadable:
        return results
    if mode & 0o007:
        results.append(failed(
            f'mode {mode & 0o7777:04o}: all users can read the passwords',
            'let only root read it',
            *(f'{what} {shlex.quote(path)}' for what in
              ('chown root:root', 'chmod 600')), subject=path))
    return results


CHECKS = (
    ('libvirt-auth', 'remote access to libvirt asks who it is', libvirt_auth),
    ('sasl', "strength of libvirt's SASL mechanisms", sasl),
)
