# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Around a tool's work: options, messages, and the exit status."""

import argparse
import os
import sys

from . import ToolError
from .stop import Stopped

ADDRESS_HELP = ('path of a QMP socket, HOST:PORT, or libvirt:DOMAIN')


class Parser(argparse.ArgumentParser):
    """Errors on one line."""

    def error(self, message):
        self.exit(2, f'{self.prog}: error: {message} (see {self.prog} -h)\n')


def number(kind, low, high):
    """The type of an option: a number within a range."""
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"'{text}' is no number") from None
        if not low <= value <= high:        # nor is nan
            raise argparse.ArgumentTypeError(
                f'must be from {low} to {high}, not {text}')
        return value
    return parse


def address(text):
    """The type of MONITOR: something that can be connected to."""
    name, colon, rest = text.partition(':')
    if not text or (colon and name in ('libvirt', 'unix') and not rest):
        raise argparse.ArgumentTypeError(f"'{text}' is empty: give a "
                                         + ADDRESS_HELP)
    host, colon, port = text.removeprefix('tcp:').rpartition(':')
    if name == 'tcp' and not (colon and port.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}': write tcp:HOST:PORT")
    if (colon and port.isdecimal() and '/' not in text
            and name not in ('libvirt', 'unix') and not 0 < int(port) < 65536):
        raise argparse.ArgumentTypeError(
            f"'{text}': a port is from 1 to 65535")
    return text


def say(program, text):
    """A line on stderr, whatever has become of stderr, also in a handler."""
    try:
        os.write(sys.stderr.fileno(), f'{program}: {text}\n'.encode())
    except (OSError, ValueError, AttributeError):
        pass


def printable(text):
    """What others sent, on one line and harmless to a terminal."""
    return ''.join(c if c.isprintable() else '?' for c in text)


def drop_output():
    """Python's exit flushes stdout again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(program, work):
    """The exit status of WORK(), which returns its own; one line of error."""
    if not sys.stdout:
        say(program, 'error: there is no stdout')
        return 1
    try:
        status = work()
        sys.stdout.flush()
        return status
    except Stopped as stopped:
        return stopped.status
    except BrokenPipeError:
        # Whoever read the output has seen enough
        drop_output()
        return 0
    except OSError as error:
        drop_output()
        say(program, f'error: {error}')
        return 1
    except ToolError as error:
        say(program, f'error: {printable(str(error))}')
        return error.status
