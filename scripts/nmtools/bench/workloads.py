# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The workloads, and what is to be reached in each."""

from dataclasses import dataclass, field

US = 1000
MS = 1000000


@dataclass(frozen=True)
class Target:
    """@metric, over that of the config @against, is to be beyond @bound."""
    metric: str
    sign: str
    bound: float
    against: str = 'reference'

    def __str__(self):
        other = '' if self.against == 'reference' else ' of polling off'
        return f'{self.sign} {self.bound:g}x{other}'


@dataclass(frozen=True)
class Workload:
    """@run is for the driver, @profile says what QEMU is started with."""
    name: str
    what: str
    run: dict
    profile: str = 'pci'
    disks: int = 1
    targets: tuple = field(default=())

    @property
    def needs_off(self):
        return any(t.against == 'off' for t in self.targets)

    @property
    def idle(self):
        return self.run.get('mode') == 'idle'


def _both(iops, cpu):
    return (Target('iops', '>=', iops), Target('cpu_us', '<=', cpu))


def _closed(name, what, depth, low_us, targets, **more):
    run = {'mode': 'closed', 'depth': depth, 'low-ns': low_us * US,
           'jitter-percent': 5}
    run.update(more)
    return Workload(name, what, run, targets=targets)


def _four(workload):
    """The same with four disks on the one IOThread."""
    return Workload(workload.name + '-4disks', workload.what + ', four disks',
                    workload.run, disks=4, targets=workload.targets)


def _make():
    qd1 = [_closed(f'qd1-{us}us', f'one request, disk of {us} us', 1, us,
                   targets)
           for us, targets in ((10, _both(0.98, 1.0)), (28, _both(0.98, 1.0)),
                               (50, _both(1.0, 0.65)),
                               (100, _both(1.0, 0.65)))]
    deep = [_closed(f'qd{depth}-20us', f'{depth} requests, disk of 20 us',
                    depth, 20, _both(1.0, 1.0)) for depth in (32, 128)]
    bimodal = _closed('bimodal', 'one request, disk of 8 us, 20 % of 90 us', 1,
                      8, _both(1.0, 0.75), **{'high-ns': 90 * US,
                                              'high-percent': 20})
    ten = {'mode': 'closed', 'depth': 1, 'low-ns': 10 * US,
           'jitter-percent': 5}
    rest = [
        Workload('sparse', 'a request, 1 ms of pause, disk of 10 us',
                 {'mode': 'periodic', 'depth': 1, 'period-ns': MS,
                  'low-ns': 10 * US, 'jitter-percent': 5},
                 targets=(Target('iops', '>=', 1.0),
                          Target('cpu_us', '<=', 1.5, 'off'))),
        Workload('idle-timer', 'no request, a timer each 100 us',
                 dict(ten, mode='idle'), profile='timer',
                 targets=(Target('cpu_percent', '<=', 1.3, 'off'),)),
        Workload('bursts', '32 requests, 2 ms of pause, disk of 20 us',
                 {'mode': 'periodic', 'depth': 32, 'period-ns': 2 * MS,
                  'low-ns': 20 * US, 'jitter-percent': 5}),
        Workload('beside-unpollable', 'one request, disk of 10 us, beside an '
                 'NBD disk that waits', ten, profile='nbd',
                 targets=(Target('iops', '>=', 1.5),)),
        Workload('vhost-user-blk-10us', 'one request, disk of 10 us, exported '
                 'by qemu-storage-daemon', ten, profile='vhost',
                 targets=(Target('iops', '>=', 2.0),)),
    ]
    four = [_four(w) for w in qd1 + deep[:1]]
    return {w.name: w for w in qd1 + [bimodal] + rest[:3] + deep + four
            + rest[3:]}


WORKLOADS = _make()
