# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Files of the host, or of a folder that stands for it; only ever read.

Below a folder every path, and every symbolic link, stays below it, as in a
chroot; programs are not run then, their recorded output is read."""

import errno
import os
import re
import stat
import subprocess

LINKS = 40              # as many as the kernel follows
LIMIT = 1 << 20         # no file that is read here has more, but see below
COMMAND_SECONDS = 10
MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ESRCH)
DENIED = (errno.EACCES, errno.EPERM)


class Unreadable(Exception):
    """A file that tells nothing; the text names it and says why."""

    def __init__(self, path, reason, missing=False):
        super().__init__(f'{path}: {reason}')
        self.missing = missing


def _refused(path, error):
    if error.errno in MISSING:
        return Unreadable(path, 'does not exist', missing=True)
    if error.errno in DENIED:
        return Unreadable(path, 'permission denied; run as root')
    return Unreadable(path, error.strerror or str(error))


class Root:
    """FOLDER stands for /; without it this is the host itself."""

    def __init__(self, folder=None):
        self._folder = os.path.abspath(folder) if folder else None
        self._outputs = {}
        self.real = not folder

    def _where(self, path):
        """The real path; links are followed by hand, so that none leaves."""
        if self.real:
            return path
        left, done, links = path.split('/')[::-1], [], 0
        while left:
            part = left.pop()
            if part in ('', '.'):
                continue
            if part == '..':
                del done[-1:]
                continue
            try:
                target = os.readlink(os.path.join(self._folder, *done, part))
            except OSError:
                done.append(part)
                continue
            links += 1
            if links > LINKS:
                raise Unreadable(path, 'too many symbolic links')
            if target.startswith('/'):
                done = []
            left.extend(target.split('/')[::-1])
        return os.path.join(self._folder, *done)

    def data(self, path, limit=LIMIT, offset=0, exact=None):
        """The bytes of a file; or EXACT many of them, of a device, too."""
        try:
            # A FIFO in somebody's copy must not block
            fd = os.open(self._where(path),
                         os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
                         | os.O_NOCTTY)
        except OSError as error:
            raise _refused(path, error) from None
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode) and not (exact and stat.S_ISCHR(mode)):
                raise Unreadable(path, 'is no plain file')
            if exact:
                return os.pread(fd, exact, offset)
            return self._all(fd, path, limit)
        except OSError as error:
            raise _refused(path, error) from None
        finally:
            os.close(fd)

    @staticmethod
    def _all(fd, path, limit):
        parts, size = [], 0
        while size <= limit:
            part = os.read(fd, min(1 << 16, limit + 1 - size))
            if not part:
                return b''.join(parts)
            parts.append(part)
            size += len(part)
        raise Unreadable(path, f'has more than {limit} bytes')

    def text(self, path, limit=LIMIT, strip=True):
        """The text of a file, without white space around it."""
        data = self.data(path, limit)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise Unreadable(path, 'is no text') from None
        # Labels of the kernel end with one
        text = text.rstrip('\0')
        if '\0' in text:
            raise Unreadable(path, 'is no text')
        return text.strip() if strip else text

    def number(self, path):
        """The number that is all of a file."""
        text = self.text(path)
        number = whole(text.removeprefix('-'))
        if number is None:
            raise Unreadable(path, f'{shown(text)} is no number')
        return -number if text.startswith('-') else number

    def word(self, path, allowed):
        """The word that is all of a file, one of ALLOWED."""
        text = self.text(path)
        if text not in allowed:
            raise Unreadable(path, f'{shown(text)} is none of '
                             + ', '.join(allowed))
        return text

    def choice(self, path):
        """The word in brackets, where the kernel lists all that it takes."""
        text = self.text(path)
        for word in text.split():
            if word.startswith('[') and word.endswith(']') and len(word) > 2:
                return word[1:-1]
        raise Unreadable(path, f'no [choice] in {shown(text)}')

    def names(self, path):
        """What is in a folder, sorted; nothing where there is none."""
        try:
            return sorted(os.listdir(self._where(path)), key=natural)
        except OSError as error:
            if error.errno in MISSING:
                return []
            raise _refused(path, error) from None

    def names_or_file(self, path):
        """What is in a folder, None if it is a file."""
        try:
            if not stat.S_ISDIR(os.stat(self._where(path)).st_mode):
                return None
        except OSError as error:
            raise _refused(path, error) from None
        return self.names(path)

    def link(self, path):
        """The last part of where a link points to, None if it is no link."""
        folder, name = os.path.split(path)
        try:
            return os.path.basename(os.readlink(
                os.path.join(self._where(folder), name)))
        except OSError:
            return None

    def present(self, path):
        """Is there anything of this name, be it a link to nowhere?"""
        folder, name = os.path.split(path)
        return os.path.lexists(os.path.join(self._where(folder), name))

    def status(self, path, follow=False):
        """As stat; of a link itself, unless it is to be followed."""
        folder, name = os.path.split(path)
        try:
            if follow:
                return os.stat(self._where(path))
            return os.lstat(os.path.join(self._where(folder), name))
        except OSError as error:
            raise _refused(path, error) from None

    def output(self, *command):
        """What a program prints, or printed: recorded/PROGRAM below FOLDER.
        '' if it cannot be told."""
        if command not in self._outputs:
            self._outputs[command] = self._output(command)
        return self._outputs[command]

    def _output(self, command):
        if not self.real:
            try:
                return self.text(f'/recorded/{command[0]}', 16 << 20)
            except Unreadable:
                return ''
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=COMMAND_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ''
        return done.stdout.decode(errors='replace')


def whole(text):
    """A number that is not too long to be one, else None."""
    return int(text) if re.fullmatch('[0-9]{1,20}', text) else None


def natural(text):
    """node10 after node9."""
    return [int(part) if number % 2 else part
            for number, part in enumerate(re.split('([0-9]+)', text))]


def shown(text, width=40):
    """A value for an error: on one line, not too long, printable."""
    text = ascii(text[:width + 1])[1:-1]
    return f"'{text[:width]}{'...' if len(text) > width else ''}'"
