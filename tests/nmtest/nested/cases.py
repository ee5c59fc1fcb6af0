# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The cases: what each value of x-msix-relocation does to VFIO devices."""

import hashlib
import re
import time

from nmtools import ToolError
from nmtools.qmp import Refused

from . import L2_LINUX, L2_START, PORTS
from .bars import View, bars, find_device, mapped
from .inner import Inner, Refusal
from .outer import CONTROLLERS, Outer

# The BAR that has the table in the device itself, and the size of BAR 0
OWN_BAR = {'plain': 0, 'apart': 4, 'small': 0}
OWN_SIZE = {'plain': 0x4000, 'apart': 0x2000, 'small': 0x4000}
REPORT = re.compile(r'nearmetal-l2: (\w+) (.*)')


class Cases:
    """All cases run in one L1."""

    def __init__(self, outer, hosts, results, requests):
        self.outer, self.hosts = outer, hosts
        self.results, self.requests = results, requests
        self.page = outer.guest('page-size')['bytes']
        self._runs = 0
        self.has_query = True

    def _inner(self, options, **more):
        if self._runs == PORTS:
            raise ToolError(f'L1 has ports for {PORTS} cases only')
        self._runs += 1
        return Inner(self.outer, self._runs - 1, options, **more)

    def _devices(self, value, names, extra=''):
        words = []
        for number, name in enumerate(names):
            words += ['-device', f'pcie-root-port,id=rp-{name},'
                                 f'chassis={number + 1}',
                      '-device', f'vfio-pci,id={name},bus=rp-{name},'
                                 f'host={self.hosts[name]},'
                                 f'x-msix-relocation={value}{extra}']
        return words

    def attempt(self, run, *arguments):
        """Run a case; one that breaks off is a failure of its own."""
        try:
            run(*arguments)
        except ToolError as error:
            if self.outer.process.poll() is not None:
                raise
            case = ' '.join((run.__name__, *map(str, arguments[:1])))
            self.results.check(False, f'{case}: ran to its end',
                               '\n'.join((str(error), error.log)).strip())

    # --- the memory map ---------------------------------------------------

    def _wait_mapped(self, inner, names):
        """Until the guest has enabled the BARs of all controllers."""
        end = time.monotonic() + L2_START
        while time.monotonic() < end:
            buses = inner.cmd('query-pci')
            places = [bars(find_device(buses, name)) for name in names]
            if all(0 in place for place in places):
                ranges = mapped(inner.hmp('info mtree -f'))
                if all(ranges.touch(a, a + size)
                       for a, size in (place[0] for place in places)):
                    return
            self.outer.check()
            time.sleep(0.5)

    def _query(self, inner):
        """What query-vfio-msix says, by ID; nothing if QEMU has none."""
        try:
            return {entry.get('id'): entry
                    for entry in inner.cmd('query-vfio-msix')}
        except Refused:
            self.has_query = False
            return {}

    def _judge(self, case, value, inner, names):
        """Check all controllers; their views."""
        told = self._query(inner)
        views = {}
        for name in names:
            view = views[name] = View(inner, name, self.page)
            where = f'{case}: {name}'
            self._check_table(where, value, name, view, told.get(name))
            self._check_doorbells(where, value, name, view)
            if self.has_query:
                self._check_query(where, name, view, told.get(name))
        return views

    def _check_table(self, where, value, name, view, told):
        bar = view.table_bar()
        if value == 'off':
            wanted = OWN_BAR[name]
        elif value == 'auto':
            wanted = (told or {}).get('bar', OWN_BAR[name])
        else:
            wanted = int(value[3:])
        self.results.check(bar == wanted, f'{where}: the table is in '
                           f'BAR {wanted}', f'it is in BAR {bar}')

    def _check_doorbells(self, where, value, name, view):
        """On pages that hold registers and table the doorbells trap, unless
        the table has been moved away."""
        shared = self.page > 0x1000 and OWN_BAR[name] == 0
        wanted = not shared or value != 'off'
        if value != 'off' and value != 'auto' and value[3:] == '0':
            self.results.check(view.bars[0][1] > self.page, f'{where}: BAR 0 '
                               'has grown beyond a page', view.bars)
        agrees = view.doorbells_direct() == view.doorbells_added()
        # Whether the kernel lets a BAR below a page be mapped depends on its
        # place, not on MSI-X
        if OWN_SIZE[name] >= self.page:
            text = 'directly mapped' if wanted else 'trapped'
            self.results.check(
                view.doorbells_direct() == wanted,
                f'{where}: the page of the doorbells is {text} on pages of '
                f'{self.page} bytes', self._map_text(view))
            agrees = agrees and (wanted or view.doorbells_refused())
        self.results.check(agrees, f"{where}: QEMU's mapping for DMA agrees",
                           self._map_text(view))

    @staticmethod
    def _map_text(view):
        start, size = view.bars[0]
        parts = [f'{a - start:#x}-{b - start:#x}'
                 for a, b in mapped(view.flat).items
                 if a < start + size and start < b]
        return f"of BAR 0 {', '.join(parts) or 'nothing'} is mapped"

    def _check_query(self, where, name, view, told):
        if not self.results.check(told is not None,
                                  f'{where}: query-vfio-msix knows it'):
            return
        found = {'relocated': told['relocated'], 'bar': told.get('bar'),
                 'table': told['table']['bar'], 'page': told['host-page-size'],
                 'host': told['host'], 'own': told['host-table']['bar']}
        moved = view.table_bar() != OWN_BAR[name] or told['relocated']
        wanted = {'relocated': moved,
                  'bar': view.table_bar() if moved else None,
                  'table': view.table_bar(), 'page': self.page,
                  'host': self.hosts[name], 'own': OWN_BAR[name]}
        self.results.check(found == wanted,
                           f'{where}: query-vfio-msix tells the same', told)
        start, end = view.doorbells()
        base = view.bars[0][0]
        listed = any(area['bar'] == 0 and area['offset'] < end - base
                     and start - base < area['offset'] + area['size']
                     for area in told['trapped'])
        self.results.check(
            listed != view.doorbells_direct(),
            f'{where}: query-vfio-msix lists the doorbells as '
            + ('trapped' if not view.doorbells_direct() else 'not trapped'),
            told['trapped'])

    def firmware(self, value):
        """The firmware of L2 enables the BARs; no operating system."""
        case = f'firmware {value}'
        names = [controller['id'] for controller in CONTROLLERS]
        self.results.say(f'{case}: no operating system, {len(names)} '
                         'controllers')
        try:
            with self._inner(self._devices(value, names)) as inner:
                self._wait_mapped(inner, names)
                views = self._judge(case, value, inner, names)
                self._figures(case, views)
                self._end(case, inner)
        except Refusal as refusal:
            self._refused(case, value, refusal)

    def _end(self, case, inner):
        status = inner.quit()
        self.results.check(status == 0, f'{case}: QEMU ends with status 0',
                           f'status {status}')

    def _refused(self, case, value, refusal):
        """Stock QEMU knows no auto; anything else must work."""
        text = str(refusal).strip().split('\n')[-1]
        if (value == 'auto' and not self.has_query
                and 'No automatic MSI-X relocation' in text):
            self.results.skip(case, 'this QEMU has no automatic relocation')
        else:
            self.results.check(False, f'{case}: accepted', text)

    def _figures(self, case, views):
        for name, view in views.items():
            self.results.figure(case=case, controller=name, page=self.page,
                                table=f'BAR {view.table_bar()}',
                                direct=view.doorbells_direct())

    # --- Linux ------------------------------------------------------------

    def linux(self, value, names=('plain',)):
        """Linux in L2 writes and reads back with the first controller."""
        self._linux(f'linux {value}', value, names)

    def no_mmap(self):
        """With x-no-mmap=on all accesses trap even under TCG: so what
        query-vfio-msix counts can be compared with what L0 sees."""
        self._linux('linux no-mmap', 'off', ('plain',), ',x-no-mmap=on')

    def _linux(self, case, value, names, extra=''):
        self.results.say(f'{case}: booting Linux in L2')
        words = f'controllers={len(names)} serial={names[0]}'
        begin = time.monotonic()
        try:
            with self._inner(self._devices(value, names, extra),
                             words=words) as inner:
                inner.wait_console('nearmetal-l2: ready', L2_LINUX)
                self.results.say(f'{case}: booted in '
                                 f'{time.monotonic() - begin:.0f} s')
                if extra:
                    views = self._unmapped(case, inner, names)
                else:
                    views = self._judge(case, value, inner, names)
                if self.requests:
                    self._requests(case, inner, views[names[0]], bool(extra))
                else:
                    self._figures(case, views)
                inner.type('off')
                status = inner.wait_end()
                self.results.check(status == 0, f'{case}: powered off',
                                   f'status {status}')
        except Refusal as refusal:
            self._refused(case, value, refusal)

    def _unmapped(self, case, inner, names):
        self._query(inner)
        views = {name: View(inner, name, self.page) for name in names}
        self.results.check(
            not any(view.doorbells_direct() for view in views.values()),
            f'{case}: nothing is mapped')
        return views

    def _trapped_writes(self, inner, name):
        """Writes to BAR 0 that query-vfio-msix has counted as trapped."""
        told = self._query(inner).get(name)
        if told is None:
            return None
        return sum(area['writes'] for area in told['trapped']
                   if area['bar'] == 0)

    def _requests(self, case, inner, view, all_trap):
        name = CONTROLLERS[0]['id']
        begin = len(inner.console())
        counted = self._trapped_writes(inner, name)
        before = self.outer.doorbells()
        started = time.monotonic()
        inner.type(f'go {self.requests}')
        text = inner.wait_console('interrupts=', L2_LINUX, begin)
        inner.wait_console('\n', L2_LINUX, begin + text.index('interrupts='))
        text = inner.console()[begin:]
        seconds = time.monotonic() - started
        doorbells = self.outer.doorbells() - before
        self.results.say(f'{case}: {self.requests} requests in '
                         f'{seconds:.0f} s')
        told = {kind: dict(word.split('=') for word in rest.split())
                for kind, rest in REPORT.findall(text) if '=' in rest}
        if counted is not None:
            counted = self._trapped_writes(inner, name) - counted
        self._check_requests(case, text, told)
        done = int(told['done']['requests'])
        self.results.check(doorbells >= 2 * done,
                           f'{case}: each request wrote its doorbells',
                           f'{doorbells} writes for {done} requests')
        if counted is not None and all_trap:
            self.results.check(counted == doorbells,
                               f'{case}: query-vfio-msix has counted each of '
                               'them', f'{counted} of {doorbells}')
        trapped = 0 if view.doorbells_direct() else doorbells
        self.results.figure(
            case=case, controller=name, page=self.page,
            table=f'BAR {view.table_bar()}', direct=view.doorbells_direct(),
            requests=done, doorbells=doorbells, counted=counted,
            seconds=round(seconds),
            trapped=round(trapped * 1000 / done),
            interrupts=int(told['done']['interrupts']))

    def _check_requests(self, case, text, told):
        self.results.check('error' not in text, f'{case}: no request failed',
                           text.strip())
        done = told['done']
        self.results.check(int(done['interrupts']) >= int(done['requests']),
                           f'{case}: each request had its interrupt',
                           f"{done['interrupts']} interrupts for "
                           f"{done['requests']} requests")
        self.results.check(told['data']['sum'] == told['back']['sum'],
                           f'{case}: what L2 reads is what it wrote', told)
        path = Outer.disk_path(self.outer.folder, CONTROLLERS[0])
        with open(path, 'rb') as file:
            data = file.read(self.requests // 2 * 4096)
        self.results.check(
            hashlib.sha256(data).hexdigest() == told['data']['sum'],
            f"{case}: L0's image has what L2 wrote", told['data'])

    # --- hotplug ----------------------------------------------------------

    def hotplug(self):
        """Plug, query, unplug, and after a refusal plug again."""
        self.results.say('hotplug: without a guest')
        options = ['-device', 'pcie-root-port,id=rp,chassis=1']
        if self.outer.arch == 'x86_64':
            # So that unplugging needs no guest
            options += ['-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-'
                                   'support=off']
        with self._inner(options, stopped=True) as inner:
            for value in ('off', 'bar2', 'auto', 'bar1', 'bar2'):
                self._plug(inner, value)
            self._end('hotplug', inner)

    def _plug(self, inner, value):
        case = f'hotplug {value}'
        why = self._add(inner, value)
        if value == 'bar1':
            self.results.check('64-bit BAR' in why, f'{case}: refused, since '
                               'BAR 0 is 64 bits wide', why or 'plugged')
            return
        if why:
            self._refused(case, value, why)
            return
        told = self._query(inner).get('plain', {'requested': value})
        self.results.check(told['requested'] == value, f'{case}: plugged',
                           told)
        inner.cmd('device_del', id='plain')
        self.results.check(self._gone(inner), f'{case}: unplugged')
        if self.has_query:
            self.results.check(not self._query(inner),
                               f'{case}: query-vfio-msix has forgotten it')

    def _add(self, inner, value):
        """Plug the first controller; why not, or nothing.  An unplugged
        device lets go of the controller only after an RCU grace period."""
        end = time.monotonic() + L2_START
        while True:
            try:
                inner.cmd('device_add', driver='vfio-pci', id='plain',
                          bus='rp', host=self.hosts['plain'],
                          x_msix_relocation=value)
                return ''
            except Refused as refused:
                if ('already attached' not in refused.desc
                        or time.monotonic() > end):
                    return refused.desc
            time.sleep(0.2)

    @staticmethod
    def _gone(inner):
        end = time.monotonic() + L2_START
        while time.monotonic() < end:
            if all(entry['name'] != 'plain' for entry in
                   inner.cmd('qom-list', path='/machine/peripheral')):
                return True
            time.sleep(0.2)
        return False
