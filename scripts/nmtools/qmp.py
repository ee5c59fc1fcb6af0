# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A monitor of a running QEMU: a QMP socket, or libvirt's through virsh.

QEMU's own Python library brings an event loop of its own, and comes only with
QEMU's source.  These tools must undo what they did after any signal and any
loss of the connection, so they wait in one place only, see stop.py."""

import errno
import json
import shutil
import socket
import subprocess
import time

from . import ToolError

CONNECT_SECONDS = 5
ANSWER_SECONDS = 20
SLOW_SECONDS = 120
SLOW = ('query-tuning',)        # the kernel looks at each page of the guest
LONGEST = 64 << 20      # of an answer; those of QEMU are far from it
LIBVIRT = 'libvirt:'
ONE_CLIENT = ('a QMP socket serves one client at a time: end the other one '
              '(for a VM of libvirt use libvirt:DOMAIN), or give QEMU a '
              'second -qmp unix:PATH,server=on,wait=off')


class Refused(ToolError):
    """QEMU answered a command with an error."""

    def __init__(self, command, error):
        error = error if isinstance(error, dict) else {}
        self.desc = str(error.get('desc', 'no reason given'))
        self.error_class = str(error.get('class', ''))
        super().__init__(f'QMP {command}: {self.desc}')


class Lost(ToolError):
    """The connection has ended, or QEMU does not answer any more."""


class Endless(Lost):
    """No line of QMP is that long."""


class Unreachable(Lost):
    """There was no connection at all."""


def open_monitor(address, stop):
    """Connect to a socket's path, to HOST:PORT or to libvirt:DOMAIN."""
    if address.startswith(LIBVIRT):
        return VirshMonitor(address[len(LIBVIRT):], stop)
    return Monitor(address, stop)


def patience(name):
    """Seconds to wait for a command's answer."""
    return SLOW_SECONDS if name in SLOW else ANSWER_SECONDS


def decode(text):
    """An object of JSON; whatever else it may be is a ValueError."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError('nested too deeply') from None
    if not isinstance(found, dict):
        raise ValueError('no object')
    return found


def version_of(found):
    """'10.0.2' from {'qemu': {'major': 10...}}; ValueError if it is none."""
    try:
        return '.'.join(str(found['qemu'].get(part, '?'))
                        for part in ('major', 'minor', 'micro'))
    except (AttributeError, KeyError, TypeError):
        raise ValueError('no version') from None


def parse_address(address):
    """A socket family with its address."""
    for prefix in ('unix:', 'tcp:'):
        if address.startswith(prefix):
            address = address[len(prefix):]
            if prefix == 'unix:':
                return socket.AF_UNIX, address
    host, colon, port = address.rpartition(':')
    if colon and port.isdigit() and '/' not in address:
        return socket.AF_INET, (host.strip('[]') or 'localhost', int(port))
    return socket.AF_UNIX, address


def _connect(address):
    family, where = parse_address(address)
    try:
        if family == socket.AF_INET:
            return socket.create_connection(where, CONNECT_SECONDS)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(CONNECT_SECONDS)
        sock.connect(where)
        return sock
    except (OSError, OverflowError, UnicodeError) as error:
        raise Unreachable(_why(address, error)) from error


def _why(address, error):
    number = getattr(error, 'errno', None)
    if number == errno.ENOENT:
        return (f'{address} does not exist; give the path of a QMP socket, '
                'HOST:PORT or libvirt:DOMAIN')
    if number == errno.ECONNREFUSED:
        return (f'{address}: nothing listens there; does the VM still run, '
                'and with -qmp unix:PATH,server=on,wait=off?')
    if number == errno.EACCES:
        return f'{address}: no permission; run as the user of the VM or root'
    if number == errno.EAGAIN or isinstance(error, TimeoutError):
        return f'{address}: busy; {ONE_CLIENT}'
    if number == errno.ENOTSOCK:
        return f'{address} is no socket; give the path of a QMP socket'
    return f'{address}: {getattr(error, "strerror", None) or error}'


class Monitor:
    """A QMP connection, also over a SOCK that is there, which ADDRESS is the
    name of then.  Every wait goes through STOP."""

    def __init__(self, address, stop, sock=None):
        self.address = address
        self._stop = stop
        self._buffer = bytearray()
        self._id = 0
        self._farewell = ''
        self._sock = sock or _connect(address)
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self):
        try:
            greeting = self._line(time.monotonic() + CONNECT_SECONDS)
            self.version = version_of(decode(greeting)['QMP']['version'])
        except TimeoutError:
            raise Unreachable(f'{self.address}: no greeting within '
                              f'{CONNECT_SECONDS} seconds; {ONE_CLIENT}'
                              ) from None
        except (Endless, ValueError, KeyError, TypeError):
            raise Unreachable(
                f'{self.address} is no QMP monitor; give the socket of -qmp '
                'or of -mon mode=control') from None
        except Lost:
            raise Unreachable(f'{self.address} was closed at once; '
                              f'{ONE_CLIENT}') from None
        self.cmd('qmp_capabilities')

    def _line(self, end):
        """The next line; TimeoutError when END is over."""
        searched = 0
        while (found := self._buffer.find(b'\n', searched)) < 0:
            searched = len(self._buffer)
            if searched > LONGEST:
                raise Endless(f'{self.address}: an answer of more than '
                              f'{LONGEST} bytes')
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if not self._stop.select(left, [self._sock]):
                continue
            try:
                data = self._sock.recv(65536)
            except OSError:
                data = b''
            if not data:
                raise self._lost()
            self._buffer += data
        line = bytes(self._buffer[:found])
        del self._buffer[:found + 1]
        return line

    def _lost(self):
        return Lost(f'{self.address}: ' + (
            self._farewell or 'the VM has ended, or closed its monitor'))

    def _answer(self, end):
        """The reply to the last command; those to earlier ones, which a
        signal or a deadline has left, are skipped, as events are."""
        while True:
            try:
                reply = decode(self._line(end))
            except ValueError:
                raise Lost(f'{self.address}: what it answers is no QMP'
                           ) from None
            if reply.get('event') == 'SHUTDOWN':
                data = reply.get('data')
                reason = data.get('reason') if isinstance(data, dict) else ''
                self._farewell = f'the VM has shut down ({reason})'
            if reply.get('id') == self._id and 'event' not in reply:
                return reply

    def cmd(self, name, **arguments):
        """A command's return value; names take '_' for '-'."""
        self._stop.check()
        self._id += 1
        request = {'execute': name, 'id': self._id}
        if arguments:
            request['arguments'] = _dashes(arguments)
        try:
            self._sock.sendall(json.dumps(request).encode() + b'\n')
            reply = self._answer(time.monotonic() + patience(name))
        except TimeoutError:
            raise Lost(f'{self.address}: no answer to {name} within '
                       f'{patience(name)} seconds; is QEMU stopped or '
                       'overloaded?') from None
        except OSError:
            raise self._lost() from None
        if 'error' in reply:
            raise Refused(name, reply['error'])
        return reply.get('return')

    def close(self):
        self._sock.close()


def _dashes(arguments):
    return {key.replace('_', '-'): value for key, value in arguments.items()}


class VirshMonitor:
    """The monitor that libvirt holds: one virsh for each command."""

    def __init__(self, domain, stop):
        self.address = LIBVIRT + domain
        self._domain = domain
        self._stop = stop
        if not domain:
            raise Unreachable('libvirt: takes a domain, libvirt:DOMAIN')
        if not shutil.which('virsh'):
            raise Unreachable('libvirt:DOMAIN needs virsh; install '
                              'libvirt-clients or give a QMP socket')
        try:
            self.version = version_of(self.cmd('query-version'))
        except ValueError:
            raise Unreachable(f'{self.address}: query-version tells no '
                              'version') from None

    def cmd(self, name, **arguments):
        self._stop.check()
        request = {'execute': name}
        if arguments:
            request['arguments'] = _dashes(arguments)
        reply = self._virsh(json.dumps(request), name)
        self._stop.check()
        if 'error' in reply:
            raise Refused(name, reply['error'])
        return reply.get('return')

    def _virsh(self, request, name):
        """virsh in a session of its own: ^C is for the tool alone."""
        try:
            done = subprocess.run(
                ['virsh', 'qemu-monitor-command', '--', self._domain, request],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=patience(name), check=False, start_new_session=True)
        except subprocess.TimeoutExpired:
            raise Lost(f'{self.address}: no answer to {name} within '
                       f'{patience(name)} seconds') from None
        except OSError as error:
            raise Lost(f'virsh: {error.strerror}') from None
        if done.returncode:
            lines = done.stderr.strip().split('\n')
            raise Lost(f'{self.address}: virsh: '
                       + lines[0].removeprefix('error: '))
        try:
            return decode(done.stdout)
        except ValueError:
            raise Lost(f'{self.address}: virsh answered no JSON') from None

    def close(self):
        pass
