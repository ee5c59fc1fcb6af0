# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""Before a VM is started: should a device's MSI-X table be relocated?"""

import getopt
import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

from .. import ToolError, WrongArgument, command
from . import sysfs as pci
from .report import print_device, print_table, to_paste

PROGRAM = 'msix-check'
HELP = '''Usage: scripts/msix-check [BDF] [OPTION]...

On the host, before a VM is started: should QEMU relocate the MSI-X table of a
PCI device that is passed through (vfio-pci, x-msix-relocation)? Says
  required        the device's layout is invalid, it cannot be used without
  helps           registers share a host page with the table: they would trap
  not needed      none are known to
  does not help   they do, but relocating would not change it, or only in a
                  BAR whose place or size a driver may rely on
  impossible      no BAR can take the table
and why, to which BAR, and what to paste for QEMU and for libvirt. The decision
is made by the code that QEMU's x-msix-relocation=auto has. Without BDF: a table
of all NVMe devices and all with MSI-X. Reading a whole config needs root.

  BDF              PCI address, 0000:01:00.0 or 01:00.0
  --sysfs ROOT     read ROOT instead of /sys, for instance a copy
  --save FILE      write what is read here to FILE, a tar archive; elsewhere
                   unpack it and use --sysfs sys
  --page-size N    of the host, in bytes, or with K (default: this machine's,
                   or that of the machine that a copy is from)
  --not-mappable   the host's kernel is older than 4.16 (default: looked up)
  --shared         registers were seen to share a page with the table: "info
                   vfio-msix" of a VM counted accesses to them
  --pci-ids FILE   names of models (default: hwdata's or pciutils' pci.ids)
  --request BAR    auto, or bar0 to bar5 to see what that would do
                   (default: auto)
  --json           print an object, or without BDF a list of them
  -h, --help       this text

From a device's folder in ROOT/bus/pci/devices it reads config, resource,
vendor, device, class, numa_node and the link driver.

JSON, for a device: address, vendor, device, class (numbers), nvme, driver and
model (or null), numa-node (or -1), host-page-size, mappable, vectors, bars (a
list of bar, size, ioport, mem64, prefetch, mmap), usable (a list of barN),
requested, verdict (no-msix, required, helps, not-needed, no-help, impossible),
reason, relocated; with MSI-X also host-table and host-pba, where they are (bar,
offset, size); if relocated is true also bar, new-bar, mem64, prefetch,
bar-size, table, pba, and the texts qemu and libvirt. Sizes and offsets are in
bytes. Devices that cannot be read are named on standard error and are not in
the list.

Exit status: 0 answered, 1 impossible or not to be read, 2 wrong arguments, such
as a device that is not there.

Examples:
  scripts/msix-check
  scripts/msix-check 01:00.0
  scripts/msix-check 01:00.0 --request bar0 --page-size 64K
'''
FLAGS = ('not-mappable', 'shared', 'json', 'help')
VALUES = ('sysfs', 'save', 'page-size', 'pci-ids', 'request')
REQUESTS = ('off', 'auto', 'bar0', 'bar1', 'bar2', 'bar3', 'bar4', 'bar5')


def usage(text):
    raise WrongArgument(f'{text} (see {PROGRAM} -h)')


def complain(text):
    command.say(PROGRAM, 'error: ' + command.printable(text))


def page_size(text):
    match = re.fullmatch('([0-9]{1,7})([kK]?)', text)
    size = int(match[1]) * (1024 if match[2] else 1) if match else 0
    if not pci.valid_page_size(size):
        usage(f"--page-size '{text}' is no power of two from 4096 to 1048576")
    return size


def check_request(text):
    if text not in REQUESTS[1:]:
        usage(f"--request '{text}' is neither auto nor bar0 to bar5")
    return text


def parse(arguments):
    """The options by their names, and the address or None."""
    try:
        pairs, rest = getopt.gnu_getopt(
            arguments, 'h', [*FLAGS, *(name + '=' for name in VALUES)])
    except getopt.GetoptError as error:
        name = ('--' if len(error.opt) > 1 else '-') + error.opt
        usage(f'{name} needs a value' if error.opt in VALUES
              else f"unknown option '{name}'")
    options = {name.lstrip('-'): value for name, value in pairs}
    for name in VALUES:
        if options.get(name) == '':
            usage(f'--{name} needs a value')
    if len(rest) > 1:
        usage(f"more than one device: '{rest[1]}'")
    address = pci.address(rest[0]) if rest else None
    if rest and not address:
        usage(f"'{rest[0]}' is no PCI address; write it as 0000:01:00.0 or "
              '01:00.0')
    return options, address


def kernel_maps_table():
    """VFIO_REGION_INFO_CAP_MSIX_MAPPABLE came with Linux 4.16."""
    version = re.match(r'(\d+)\.(\d+)', os.uname().release)
    return not version or tuple(map(int, version.groups())) >= (4, 16)


class Check:
    """The options, and the host and devices that they name."""

    def __init__(self, options, planner):
        self._planner = planner
        self.json = 'json' in options
        self._shared = 'shared' in options
        self._request = check_request(options.get('request', 'auto'))
        self.sysfs = pci.Sysfs(options.get('sysfs', '/sys'))
        self.host = self.sysfs.host(
            pci.Host(os.sysconf('SC_PAGE_SIZE'), kernel_maps_table()))
        if 'page-size' in options:
            self.host.page_size = page_size(options['page-size'])
        if 'not-mappable' in options:
            self.host.mappable = False
        self._names = pci.Names(options.get('pci-ids'))

    def addresses(self):
        try:
            return self.sysfs.addresses()
        except OSError as error:
            usage(f'{error.filename}: cannot be read; --sysfs names a folder '
                  'in the place of /sys')

    def device(self, address):
        return self.sysfs.device(address, self.host.page_size)

    def _numbers(self, device):
        """As msix-decide.c has them."""
        numbers = [REQUESTS.index(self._request), self.host.page_size,
                   self.host.mappable, device.nvme, self._shared,
                   device.vectors, *device.table, *device.pba]
        for bar in device.bars:
            numbers += [bar.size, bar.ioport, bar.mem64, bar.prefetch,
                        bar.mmap]
        return ' '.join(str(int(number)) for number in numbers) + '\n'

    def reports(self, devices):
        """What is known of each device, and what is to be done."""
        lines = ''.join(map(self._numbers, devices))
        try:
            done = subprocess.run([self._planner], input=lines, check=True,
                                  stdout=subprocess.PIPE, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ToolError(f'{self._planner}: {error}') from None
        return [self._report(device, SimpleNamespace(**{
                    name.replace('-', '_'): value
                    for name, value in json.loads(line).items()}))
                for device, line in zip(devices, done.stdout.splitlines())]

    def _report(self, device, plan):
        def area(bar, offset, kind):
            return {'bar': bar, 'offset': offset,
                    'size': getattr(plan, kind + '_size')}

        report = {
            'address': device.address, 'vendor': device.vendor,
            'device': device.device, 'class': device.class_code,
            'nvme': device.nvme, 'driver': device.driver,
            'model': self._names.find(device.vendor, device.device),
            'numa-node': device.numa_node,
            'host-page-size': self.host.page_size,
            'mappable': self.host.mappable, 'vectors': device.vectors}
        if device.vectors:
            report['host-table'] = area(*device.table, 'table')
            report['host-pba'] = area(*device.pba, 'pba')
        report['bars'] = [
            {'bar': i, 'size': bar.size, 'ioport': bar.ioport,
             'mem64': bar.mem64, 'prefetch': bar.prefetch, 'mmap': bar.mmap}
            for i, bar in enumerate(device.bars) if bar.size]
        report |= {'usable': plan.usable, 'requested': self._request,
                   'verdict': verdict(plan),
                   'reason': plan.error or plan.reason,
                   'relocated': plan.relocate and not plan.error}
        if report['relocated']:
            report |= {'bar': plan.bar, 'new-bar': plan.new_bar,
                       'mem64': plan.mem64, 'prefetch': plan.prefetch,
                       'bar-size': plan.bar_size,
                       'table': area(plan.bar, plan.table, 'table'),
                       'pba': area(plan.bar, plan.pba, 'pba')}
            texts = to_paste(report)
            report |= {name: texts[name] for name in ('qemu', 'libvirt')}
        return report


def verdict(plan):
    if plan.error:
        return 'impossible'
    if plan.need == 'none':
        return 'no-msix'
    return 'no-help' if plan.need == 'helps' and not plan.relocate \
        else plan.need


def check_one(check, address):
    if not check.sysfs.has(address):
        usage(f'{address}: there is no such device in {check.sysfs.root}')
    device = check.device(address)
    if device.bridge:
        usage(f'{address}: a PCI bridge cannot be passed through; name a '
              'device behind it')
    report, = check.reports([device])
    if check.json:
        print(json.dumps(report, indent=2))
    else:
        print_device(report)
    if report['verdict'] != 'impossible':
        return 0
    complain(f"{address}: {report['reason']}")
    return 1


def check_all(check):
    devices, hidden, failed = [], 0, False
    for address in check.addresses():
        try:
            device = check.device(address)
        except pci.Hidden:
            hidden += 1
        except ToolError as error:
            complain(str(error))
            failed = True
        else:
            if not device.bridge and (device.vectors or device.nvme):
                devices.append(device)
    if hidden:
        complain(f"{hidden} device{'s' if hidden > 1 else ''} may have MSI-X, "
                 'but only root can read that: run this as root')
    reports = check.reports(devices)
    if check.json:
        print(json.dumps(reports, indent=2))
    elif reports:
        print_table(reports)
    elif not (hidden or failed):
        print('no NVMe device, and none with MSI-X')
    return int(bool(hidden or failed))


def save(check, file):
    """A copy without the capabilities would be of no use."""
    addresses = check.addresses()
    for address in addresses:
        try:
            check.device(address)
        except pci.Hidden:
            raise ToolError(f'--save: only root can read all of {address}: '
                            'run this as root') from None
        except ToolError:
            pass
    check.sysfs.save(file, addresses, check.host)
    print(f'{file}: {len(addresses)} devices; elsewhere: tar xf {file} && '
          'scripts/msix-check --sysfs sys')
    return 0


def work(planner, arguments):
    options, address = parse(arguments)
    if options.keys() & {'h', 'help'}:
        print(HELP, end='')
        return 0
    check = Check(options, planner)
    if 'save' in options:
        return save(check, options['save'])
    return check_one(check, address) if address else check_all(check)


def main():
    """The first argument is the planner's program."""
    planner, *arguments = sys.argv[1:]
    return command.run(PROGRAM, lambda: work(planner, arguments))


if __name__ == '__main__':
    sys.exit(main())
