# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The tests behind test-migration-*: a guest that does I/O on an IOThread
migrates from the stock QEMU to the patched one and back, and the migration
streams of both are compared."""

import json
import os
import shlex
import subprocess
import sys
from collections import namedtuple

from nmtools import ToolError
from nmtools.base import BASE, build_dir

from .. import session
from ..machine import Machine
from ..testing import need_kit, patched_qemu, run, stock_qemu

# Machine types that have versions, and a CPU that both binaries have
MACHINES = {'x86_64': 'pc-q35', 'aarch64': 'virt'}
CPUS = {'x86_64': 'qemu64', 'aarch64': 'cortex-a57'}
DEADLINE = 240
TICKS = 20          # ticks the guest must make between two looks


# Of a guest that can never have a second CPU, TCG takes the locked instructions for
# plain ones. A driver's barrier is one of them, between its request and its look at
# whether a kick is wanted, and an IOThread is another CPU: a kick can be lost.
SMP = ('-smp', '1,maxcpus=2')


class Route(namedtuple('Route', 'arch machine stock patched folder')):
    """The machine type, two binaries, and where all of it happens."""

    def new(self, qemu, name, *extra):
        return Machine(qemu, self.arch, self.folder, name=name,
                       cpu=CPUS[self.arch], machine=self.machine,
                       extra=(*SMP, *extra))


# --- streams ---------------------------------------------------------------

def finish_migration(machine):
    """Until the outgoing migration is complete."""
    state = {}

    def done():
        state.update(machine.cmd('query-migrate'))
        if state.get('status') in ('failed', 'cancelled'):
            raise ToolError('the migration failed: '
                            + state.get('error-desc', 'no reason given'),
                            machine.console.tail())
        return state.get('status') == 'completed'
    machine.wait(done, DEADLINE, 'the migration did not complete')


def description(machine, path):
    """The description of the stream of a stopped machine; QEMU 7.2 has no
    file: yet."""
    machine.cmd('migrate', uri=f'exec:cat >{shlex.quote(path)}')
    finish_migration(machine)
    tool = build_dir('tree', 'scripts', 'analyze-migration.py')
    result = subprocess.run([sys.executable, tool, '-f', path, '-d', 'desc'],
                            check=False, text=True, capture_output=True)
    os.unlink(path)
    if result.returncode:
        raise ToolError('analyze-migration.py: '
                        + result.stderr.strip().split('\n')[-1])
    text = result.stdout
    return json.loads(text[text.index('{'):])


def devices(described):
    return [(entry['name'], entry['instance_id'], entry.get('version'))
            for entry in described['devices']]


def differences(one, other):
    """The first few entries that only one of two lists has."""
    return ([f'stock only: {entry}' for entry in one if entry not in other]
            + [f'patched only: {entry}' for entry in other
               if entry not in one])[:4]


def compare_fresh(checks, route):
    """Machines that never ran: the descriptions are equal to the last."""
    found = []
    for name, qemu in (('stock', route.stock), ('patched', route.patched)):
        with route.new(qemu, f'fresh-{name}', '-S') as machine:
            found.append(description(machine,
                                     os.path.join(route.folder, name)))
            machine.quit()
    lists = [devices(described) for described in found]
    checks.check(lists[0] == lists[1],
                 f'both streams hold the same {len(lists[0])} sections',
                 differences(*lists))
    checks.check(found[0] == found[1],
                 'all fields of both streams are the same',
                 'the descriptions differ')


def running_sections(machine, folder):
    """The sections of a guest under I/O, which goes on afterwards."""
    machine.cmd('stop')
    found = description(machine, os.path.join(folder, 'running'))
    machine.cmd('cont')
    return devices(found)


# --- the guest ---------------------------------------------------------------

def queue_state(machine):
    """What a disk that stands still is waiting for, as QEMU and the guest see it."""
    told = []
    for name, arguments in (
            ('query-iothreads', {}), ('query-blockstats', {}),
            ('x-query-virtio-queue-status',
             {'path': '/machine/peripheral/blk0/virtio-backend', 'queue': 0})):
        try:
            told.append(f'{name}: {json.dumps(machine.cmd(name, **arguments))}')
        except ToolError as error:
            told.append(f'{name}: {error}')
    for line in ('count', 'ticker'):
        told.append(f'{line}: {machine.guest(line)}')
    return '\n'.join(told)


def expect_ticks(machine, ticks, where):
    try:
        machine.wait(lambda: machine.guest('ticker')['ticks'] >= ticks,
                     DEADLINE, f"the guest's ticker stands still {where}")
    except ToolError as error:
        raise ToolError(str(error),
                        f'{error.log}\n{queue_state(machine)}') from None


def expect_progress(checks, machine, where):
    """Ticks and requests go on; all that was written is there."""
    ticks = machine.guest('ticker')['ticks']
    done = machine.guest('count')
    expect_ticks(machine, ticks + TICKS, where)
    later = machine.guest('count')
    for way in ('reads', 'writes'):
        checks.check(later[way] > done[way], f'{way} continue {where}')
    try:
        verified = machine.guest('verify')['ticks']
        checks.check(verified >= ticks + TICKS,
                     f'disk and memory are intact {where}')
    except ToolError as error:
        checks.check(False, f'disk and memory are intact {where}', error)
    return verified_ticks(machine)


def verified_ticks(machine):
    state = machine.guest('ticker')
    if state['errors']:
        raise ToolError(f"the guest read back {state['errors']} wrong ticks",
                        machine.console.tail())
    return state['ticks']


def hop(checks, route, source, qemu, name):
    """Live-migrate to a new QEMU; the old one is ended."""
    before = source.guest('ticker')['ticks']
    target = route.new(qemu, name, '-incoming', 'defer')
    try:
        target.start()
        target.cmd('migrate-incoming', uri=f'unix:{name}.sock')
        source.cmd('migrate-set-parameters', max_bandwidth=1 << 30)
        source.cmd('migrate', uri=f'unix:{name}.sock')
        finish_migration(source)
        target.wait(lambda: target.cmd('query-status')['status'] == 'running',
                    DEADLINE, 'the guest does not run after the migration')
    except BaseException:
        target.close()
        raise
    finally:
        source.quit()
    after = target.guest('ticker')['ticks']
    checks.check(after >= before, f'the counter continues in {name}',
                 f'{after} after {before}')
    return target


def travel(checks, route):
    """Stock to patched to stock, under I/O all the way."""
    machine = route.new(route.stock, 'stock')
    try:
        machine.start()
        machine.wait_ready()
        machine.guest('start-ticker')
        machine.guest('start-io 8 4096 rw')
        expect_progress(checks, machine, 'before the migration')
        stock_list = running_sections(machine, route.folder)
        machine = hop(checks, route, machine, route.patched, 'patched')
        expect_progress(checks, machine, 'on the patched QEMU')
        patched_list = running_sections(machine, route.folder)
        machine = hop(checks, route, machine, route.stock, 'stock-again')
        expect_progress(checks, machine, 'back on the stock QEMU')
        machine.power_off()
    finally:
        machine.close()
    return stock_list, patched_list


def test(checks, arch):
    stock, patched = stock_qemu(arch), patched_qemu(arch)
    need_kit(arch)
    with session.run_folder() as folder:
        route = Route(arch, f'{MACHINES[arch]}-{BASE}', stock, patched, folder)
        compare_fresh(checks, route)
        lists = travel(checks, route)
        checks.check(lists[0] == lists[1],
                     'a running guest has the same sections in both',
                     differences(*lists))


def main(arch):
    run(f'Migrates an {arch} guest that does I/O on an IOThread from the '
        'stock QEMU to the patched one and back, and compares their '
        'migration streams.', lambda checks: test(checks, arch))
