# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""QMP through QEMU's own Python library."""

import asyncio
import logging
import sys
import warnings

from . import QMP_DEADLINE, GuestError
from .kit import python_tree


def _library():
    path = python_tree()
    if path not in sys.path:
        sys.path.insert(0, path)
    warnings.simplefilter('ignore', DeprecationWarning)
    logging.getLogger('qemu').setLevel(logging.CRITICAL)
    try:
        import qemu.qmp
        from qemu.qmp.legacy import QEMUMonitorProtocol
    except ImportError as error:
        raise GuestError(f"QEMU's Python library cannot be loaded: {error}; "
                         'run scripts/prepare') from error
    return qemu.qmp, QEMUMonitorProtocol


class Refused(GuestError):
    """QEMU answered a command with an error."""

    def __init__(self, command, desc, error_class):
        super().__init__(f'QMP {command}: {desc}')
        self.desc = desc
        self.error_class = error_class


class Qmp:
    """A monitor on a connected socket."""

    def __init__(self, sock):
        self._errors, protocol = _library()
        self._monitor = protocol(sock)
        self._monitor.settimeout(QMP_DEADLINE)

    def connect(self):
        try:
            return self._monitor.connect()
        except (self._errors.QMPError, OSError, EOFError,
                asyncio.TimeoutError) as error:
            raise GuestError(f'no QMP connection: {_text(error)}') from error

    def cmd(self, name, **arguments):
        """A command's return value; names take '_' for '-'."""
        arguments = {key.replace('_', '-'): value
                     for key, value in arguments.items()}
        try:
            return self._monitor.cmd(name, **arguments)
        except asyncio.TimeoutError as error:
            raise GuestError(f'QMP {name}: no answer in {QMP_DEADLINE} '
                             'seconds') from error
        except self._errors.QMPError as error:
            if isinstance(error, self._errors.ExecuteError):
                raise Refused(name, str(error), error.error_class) from error
            raise GuestError(f'QMP {name}: {_text(error)}') from error
        except OSError as error:
            raise GuestError(f'QMP {name}: {_text(error)}') from error

    def close(self):
        try:
            self._monitor.close()
        except Exception:  # pylint: disable=broad-except
            pass        # the other end may be gone in any way


def _text(error):
    words = str(error).strip().split('\n')[0]
    return words or type(error).__name__
