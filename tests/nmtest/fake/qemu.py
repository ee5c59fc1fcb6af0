# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A QMP server with IOThreads that do as a model says, and that fails as a
test wants it to."""

import json
import os
import socket
import threading
import time

from ..tool import DEADLINE, until

BUCKETS = 32
SETTINGS = {'poll-max-ns': 32768, 'poll-grow': 0, 'poll-shrink': 0,
            'aio-max-batch': 0, 'thread-pool-min': 0, 'thread-pool-max': 64}


class Refusal(Exception):
    """An error for the client."""


class HangUp(Exception):
    """The connection ends, without an answer."""


class IOThread:
    """Counters that grow with time, as MODEL(settings) says: requests a second
    and CPU ns for each."""

    def __init__(self, model, settings):
        self.settings = dict(settings)
        self._model = model
        self._time = time.monotonic()
        self._requests = self._cpu = 0.0

    def advance(self):
        now = time.monotonic()
        rate, cost = self._model(self.settings)
        done = rate * (now - self._time)
        self._time = now
        self._requests += done
        self._cpu += done * cost

    def reset(self):
        self._requests = self._cpu = 0.0

    def stats(self):
        self.advance()
        requests = int(self._requests)
        stats = dict.fromkeys(('loops', 'poll-hits', 'events', 'requests'),
                              requests)
        stats.update({'poll-misses': requests // 4, 'submits': requests // 2,
                      'poll-hit-time': requests * 1000,
                      'poll-miss-time': requests * 500,
                      'blocks': 0, 'block-time': 0, 'spurious-wakeups': 0,
                      'poll-current': self.settings['poll-max-ns'] // 2,
                      'cpu-time': int(self._cpu)})
        histogram = [0] * BUCKETS
        histogram[10] = requests
        return [{'name': k, 'value': v} for k, v in stats.items()] + [
            {'name': 'wait-histogram', 'value': histogram}]


class FakeQemu:
    """Serves one client at a time, as QEMU does.

    HOOK(name, arguments) is called before each command, in the server's
    thread; it may raise Refusal or HangUp.  LOG has the qom-set commands.
    """

    def __init__(self, folder, iothreads, hook=None, name='vm1'):
        self.path = os.path.join(folder, 'qmp')
        self.iothreads = iothreads
        self.hook = hook
        self.name = name
        self.log = []
        self.mute = False
        self._ending = False
        self._client = None
        self._listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _listen(self):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(1)

    def _serve(self):
        while not self._ending:
            try:
                self._client, _ = self._socket.accept()
            except OSError:
                return
            with self._client:
                try:
                    self._talk(self._client)
                except (OSError, ValueError, HangUp):
                    pass

    def _talk(self, client):
        if self.mute:
            while client.recv(4096):
                pass
            return
        self._send(client, {'QMP': {'version': self.do_query_version(),
                                    'capabilities': []}})
        self._send(client, {'event': 'NOISE', 'data': {}})
        with client.makefile('r') as lines:
            for line in lines:
                request = json.loads(line)
                self._send(client, {**self._answer(
                    request['execute'], request.get('arguments', {})),
                    'id': request['id']})

    @staticmethod
    def _send(client, message):
        client.sendall(json.dumps(message).encode() + b'\r\n')

    def _answer(self, name, arguments):
        try:
            if self.hook:
                self.hook(name, arguments)
            method = getattr(self, 'do_' + name.replace('-', '_'), None)
            if not method:
                raise Refusal(f'The command {name} has not been found')
            return {'return': method(**{key.replace('-', '_'): value for
                                        key, value in arguments.items()})}
        except Refusal as error:
            return {'error': {'class': 'GenericError', 'desc': str(error)}}

    # --- the commands ---------------------------------------------------

    def do_qmp_capabilities(self):
        return {}

    @staticmethod
    def do_query_version():
        return {'qemu': {'major': 10, 'minor': 0, 'micro': 13}}

    def do_query_name(self):
        return {'name': self.name}

    def do_query_stats(self, target, providers):
        assert target == 'iothread' and providers
        return [{'provider': 'iothread', 'qom-path': '/objects/' + name,
                 'stats': one.stats()}
                for name, one in list(self.iothreads.items())]

    def _find(self, path, name=None):
        one = self.iothreads.get(path.rpartition('/')[2])
        if not one:
            raise Refusal(f"Device '{path}' not found")
        if name and name not in one.settings:
            raise Refusal(f"Property 'iothread.{name}' not found")
        return one

    def do_qom_list(self, path):
        return [{'name': 'type', 'type': 'string'}] + [
            {'name': name, 'type': 'int'}
            for name in self._find(path).settings]

    def do_qom_get(self, path, property):   # pylint: disable=redefined-builtin
        return self._find(path, property).settings[property]

    def do_qom_set(self, path, property,    # pylint: disable=redefined-builtin
                   value):
        one = self._find(path, property)
        one.advance()
        self.log.append((path.rpartition('/')[2], property, value))
        one.settings[property] = value
        return {}

    # --- for tests ------------------------------------------------------

    def settings(self):
        return {name: dict(one.settings)
                for name, one in self.iothreads.items()}

    def until_set(self):
        """Wait for the first setting on trial."""
        until(lambda: self.log, 'a setting was tried')

    def close(self):
        """As a VM that ends: the connection goes, and so does the socket."""
        self._ending = True
        for sock in (self._client, self._socket):
            try:
                if sock:
                    sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._socket.close()
        if os.path.exists(self.path):
            os.unlink(self.path)
        if threading.current_thread() is not self._thread:
            self._thread.join(DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, *_unused):
        self.close()
