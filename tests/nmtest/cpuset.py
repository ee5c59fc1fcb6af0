# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""A cgroup that leaves a process one CPU."""

import os

from .testing import Skip


def put(folder, name, value):
    with open(os.path.join(folder, name), 'w', encoding='ascii') as file:
        file.write(str(value))


class Cpuset:
    """A process is in it, in a with-statement; Skip if that cannot be."""

    def __init__(self, pid, cpu):
        self.pid, self.cpu = pid, cpu
        self.parent = next((path for path in ('/sys/fs/cgroup/cpuset',
                                              '/sys/fs/cgroup')
                            if os.path.exists(f'{path}/cgroup.procs')), None)
        self.folder = f'{self.parent}/nearmetal-{os.getpid()}'

    def __enter__(self):
        try:
            os.mkdir(self.folder)
        except OSError as error:
            raise Skip(f'cgroup: {error.strerror}') from error
        try:
            put(self.folder, 'cpuset.mems', 0)
            put(self.folder, 'cpuset.cpus', self.cpu)
            put(self.folder, 'cgroup.procs', self.pid)
        except OSError as error:
            self.__exit__()
            raise Skip(f'cgroup: {error.strerror}') from error
        return self

    def __exit__(self, *unused):
        put(self.parent, 'cgroup.procs', self.pid)
        os.rmdir(self.folder)
