# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""QMP through QEMU's own Python library."""

import asyncio
import logging
import signal
import sys

from nmtools import ToolError
from nmtools.qmp import Refused

from . import QMP_DEADLINE
from .kit import python_tree

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _library():
    path = python_tree()
    if path not in sys.path:
        sys.path.insert(0, path)
    logging.getLogger('qemu').setLevel(logging.CRITICAL)
    try:
        import qemu.qmp
    except ImportError as error:
        raise ToolError(f"QEMU's Python library cannot be loaded: {error}; "
                        'run scripts/prepare') from error
    return qemu.qmp


def _run(loop, start):
    """Run the coroutine that START() gives to its end.

    A signal's handler may raise an exception.  Raised in the middle of the
    event loop it would leave the library in a state that its own assertions
    catch later; so a signal cancels the coroutine, and its handler runs after
    that.
    """
    seen = []
    tasks = []

    def cancel(number, frame):
        seen.append((number, frame))
        if tasks:
            loop.call_soon_threadsafe(tasks[0].cancel)

    async def watched():
        tasks.append(asyncio.current_task())
        if seen:
            raise asyncio.CancelledError
        return await asyncio.wait_for(start(), QMP_DEADLINE)

    handlers = _catch_signals(cancel)
    try:
        return loop.run_until_complete(watched())
    except asyncio.CancelledError:
        if not seen:
            raise
        return None
    finally:
        # What asyncio keeps of a task in weak sets goes with it: an exception of
        # a handler is lost in there
        tasks.clear()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in seen[:1]:
            handlers[number](number, frame)


def _catch_signals(handler):
    """Set a handler for the signals that Python handles; what there was."""
    handlers = {number: signal.getsignal(number) for number in ENDING}
    handlers = {number: old for number, old in handlers.items()
                if callable(old)}
    for number in handlers:
        signal.signal(number, handler)
    return handlers


class Qmp:
    """A monitor on a connected socket."""

    def __init__(self, sock):
        self._errors = _library()
        self._sock = sock
        self._loop = asyncio.new_event_loop()
        self._client = self._errors.QMPClient()

    def connect(self):
        try:
            _run(self._loop, lambda: self._client.connect(self._sock))
        except (self._errors.QMPError, OSError, EOFError,
                asyncio.TimeoutError) as error:
            raise ToolError(f'no QMP connection: {_text(error)}') from error

    def cmd(self, name, **arguments):
        """A command's return value; names take '_' for '-'."""
        arguments = {key.replace('_', '-'): value
                     for key, value in arguments.items()}
        try:
            return _run(self._loop,
                        lambda: self._client.execute(name, arguments))
        except asyncio.TimeoutError as error:
            raise ToolError(f'QMP {name}: no answer in {QMP_DEADLINE} '
                            'seconds') from error
        except self._errors.QMPError as error:
            if isinstance(error, self._errors.ExecuteError):
                raise Refused(name, {
                    'desc': str(error),
                    'class': error.error_class}) from error
            raise ToolError(f'QMP {name}: {_text(error)}') from error
        except OSError as error:
            raise ToolError(f'QMP {name}: {_text(error)}') from error

    def close(self):
        try:
            _run(self._loop, self._client.disconnect)
        except Exception:  # pylint: disable=broad-except
            pass        # the other end may be gone in any way
        finally:
            self._loop.close()


def _text(error):
    words = str(error).strip().split('\n')[0]
    return words or type(error).__name__
