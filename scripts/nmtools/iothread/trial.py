# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Settings on trial: whatever happens, the old ones come back."""

import json
import shlex
import time

from ..qmp import LIBVIRT, Lost, Refused
from . import query

UNKNOWN = object()
RECONNECT_TRIES = 4
RECONNECT_PAUSE = 2


class Trial:
    """The settings of some IOThreads, to be changed and restored.

    Used as a context: leaving it restores.  MONITOR is replaced by
    OPEN_AGAIN() if the connection gets lost.
    """

    def __init__(self, monitor, open_again, stop, say):
        self.monitor = monitor
        self._open_again = open_again
        self._stop = stop
        self._say = say
        self.old = {}
        self._now = {}
        self.unrestored = []

    def remember(self, path, names):
        """The values to come back to; before anything is changed."""
        for name in names:
            value = query.get(self.monitor, path, name)
            if value is not None:
                self.old[path, name] = value
        self._now = dict(self.old)

    def present(self):
        """The old values by path."""
        values = {}
        for (path, name), value in self.old.items():
            values.setdefault(path, {})[name] = value
        return values

    def apply(self, setting):
        """SETTING on every IOThread, all else as it was before."""
        for (path, name), old in self.old.items():
            self._set(path, name, setting.get(name, old))

    def _set(self, path, name, value):
        if self._now[path, name] == value:
            return
        # Whatever becomes of the command, there is something to restore
        self._now[path, name] = UNKNOWN
        self.monitor.cmd('qom-set', path=path, property=name, value=value)
        self._now[path, name] = value

    def __enter__(self):
        return self

    def __exit__(self, kind, *_unused):
        with self._stop.shield(lambda: self._say('restoring, please wait')):
            self._restore()
            if kind and not self.unrestored:
                self._say('ended early; the old settings are back')

    def _changed(self):
        return [key for key, old in self.old.items() if self._now[key] != old]

    def _restore(self):
        refused, reason = {}, ''
        for attempt in range(RECONNECT_TRIES):
            try:
                if attempt:
                    self._reconnect(attempt)
                for key in self._changed():
                    if key not in refused:
                        self._restore_one(key, refused)
                break
            except (Lost, OSError) as lost:
                if not reason:
                    reason = str(lost)
                    self._say(f'{reason}; connecting again to restore')
        else:
            refused = {key: reason for key in self._changed()}
        self._tell(refused)

    def _reconnect(self, attempt):
        self.monitor.close()
        if attempt > 1:
            time.sleep(RECONNECT_PAUSE)
        self.monitor = self._open_again()

    def _restore_one(self, key, refused):
        path, name = key
        try:
            self._set(path, name, self.old[key])
        except Refused as error:
            refused[key] = error.desc
            if query.properties(self.monitor, path) == []:
                self._now[key] = self.old[key]      # removed: nothing to do
                del refused[key]

    def _tell(self, refused):
        """What could not be restored, and the commands that do it."""
        self.unrestored = [
            qom_set(path, name, self.old[path, name])
            for path, name in refused]
        if not refused:
            return
        reason = next(iter(refused.values()))
        self._say(f'error: not restored: {reason}; if the VM still runs, give '
                  'it these commands:')
        for command in self.unrestored:
            self._say('  ' + shell(command, self.monitor.address))


def qom_set(path, name, value):
    return {'execute': 'qom-set',
            'arguments': {'path': path, 'property': name, 'value': value}}


def shell(command, address=''):
    """A QMP command to paste: for a socket, or for virsh."""
    text = json.dumps(command)
    if address.startswith(LIBVIRT):
        return virsh(command, address[len(LIBVIRT):])
    return text


def virsh(command, domain):
    return (f'virsh qemu-monitor-command {shlex.quote(domain)} '
            f'{shlex.quote(json.dumps(command))}')
