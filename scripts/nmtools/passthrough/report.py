# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What msix-check prints about a device, and what to paste."""

import re

VERDICTS = {'no-msix': 'nothing to do', 'required': 'required',
            'helps': 'helps', 'no-help': 'does not help',
            'not-needed': 'not needed', 'impossible': 'impossible'}
UNITS = ('bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB')
QEMU = '-device vfio-pci,host={address},x-msix-relocation=bar{bar}'
# libvirt wants aliases of the user's to begin with ua-
LIBVIRT = '''\
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <devices>
    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source>
        <address domain='0x{part[0]}' bus='0x{part[1]}' slot='0x{part[2]}' \
function='0x{part[3]}'/>
      </source>
      <alias name='{alias}'/>
    </hostdev>
  </devices>
  <qemu:override>
    <qemu:device alias='{alias}'>
      <qemu:frontend>
        <qemu:property name='x-msix-relocation' type='string' value='bar{bar}'/>
      </qemu:frontend>
    </qemu:device>
  </qemu:override>
</domain>
'''
# "hostpci0" is the ID that Proxmox gives to the first of its devices
PASTE = '''
QEMU:
  {qemu}

libvirt 8.2 or later (virsh edit; the first line replaces the domain's):
{indented}
libvirt before 8.2, with nearmetal's QEMU, instead of <qemu:override>:
    <qemu:commandline>
      <qemu:arg value='-set'/>
      <qemu:arg value='device.{alias}.x-msix-relocation=bar{bar}'/>
    </qemu:commandline>

Proxmox VE (hostpciN as in the VM's configuration; with nearmetal's QEMU):
  qm set VMID --hostpci0 {address},pcie=1 \\
    --args '-set device.hostpci0.x-msix-relocation=bar{bar}'
'''
COLUMNS = '{:<13} {:<9} {:<5} {:<10} {:>4} {:>7} {:<10} {:<10} {:<13} {:<4}  {}'
HEADS = ('ADDRESS', 'ID', 'KIND', 'DRIVER', 'NODE', 'VECTORS', 'TABLE', 'PBA',
         'RELOCATION', 'TO', 'MODEL')


def size_text(size):
    unit = 0
    while size and size % 1024 == 0 and unit < len(UNITS) - 1:
        size //= 1024
        unit += 1
    return f'{size} {UNITS[unit]}'


def to_paste(report):
    """{name: text} of what the user can paste."""
    address = report['address']
    words = {'address': address, 'part': re.split('[:.]', address),
             'alias': 'ua-pci-' + re.sub('[:.]', '-', address),
             'bar': report['bar']}
    return words | {'qemu': QEMU.format(**words),
                    'libvirt': LIBVIRT.format(**words)}


def _line(label, text):
    print(f'  {label:<11} {text}')


def _print_bars(report):
    label = 'BARs:'
    for bar in report['bars']:
        kind = ('I/O ports' if bar['ioport'] else
                '64-bit' if bar['mem64'] else '32-bit')
        _line(label, f"bar{bar['bar']} {size_text(bar['size']):>9} {kind}"
              + (', prefetchable' if bar['prefetch'] else '')
              + ('' if bar['ioport'] or bar['mmap'] else
                 ', not mapped: smaller than a page and not aligned'))
        label = ''


def _print_msix(report):
    places = (f"BAR {place['bar']} at 0x{place['offset']:x}, "
              f"{place['size']} bytes"
              for place in (report['host-table'], report['host-pba']))
    _line('MSI-X:', '{} vectors; table: {}; PBA: {}'.format(report['vectors'],
                                                            *places))
    _print_bars(report)
    _line('usable:', ', '.join(report['usable']) or 'none')


def _print_place(report):
    _line('goes to:',
          f"bar{report['bar']}, "
          f"{'which is free' if report['new-bar'] else 'made larger'}: "
          f"{size_text(report['bar-size'])}, "
          f"{'64-bit' if report['mem64'] else '32-bit'}"
          f"{', prefetchable' if report['prefetch'] else ''}; "
          f"table at 0x{report['table']['offset']:x}, "
          f"PBA at 0x{report['pba']['offset']:x}")


def print_device(report):
    """All about one device, with what to paste."""
    node = report['numa-node']
    print(f"{report['address']}  {report['vendor']:04x}:{report['device']:04x}"
          f", class {report['class']:06x}{' (NVMe)' if report['nvme'] else ''}"
          f", driver {report['driver'] or 'none'}, "
          f"NUMA node {node if node >= 0 else 'unknown'}")
    if report['model']:
        _line('model:', report['model'])
    _line('host:', f"pages of {size_text(report['host-page-size'])}; the "
          f"kernel {'lets' if report['mappable'] else 'does not let'} the "
          "table's pages be mapped")
    if report['vectors']:
        _print_msix(report)
    _line('relocation:', f"{VERDICTS[report['verdict']]}: {report['reason']}")
    if report['verdict'] == 'not-needed':
        _line('', '"info vfio-msix" in a running VM counts what traps; if '
              'registers')
        _line('', 'beside the table do, ask again with --shared')
    if report['relocated']:
        _print_place(report)
        words = to_paste(report)
        words['indented'] = re.sub('^', '  ', words['libvirt'].rstrip(),
                                   flags=re.MULTILINE) + '\n'
        print(PASTE.format(**words), end='')


def _row(report):
    def place(name):
        area = report.get(name)
        return f"{area['bar']}+0x{area['offset']:x}" if area else '-'

    node = report['numa-node']
    return (report['address'], f"{report['vendor']:04x}:{report['device']:04x}",
            'nvme' if report['nvme'] else 'other', report['driver'] or '-',
            node if node >= 0 else '-', report['vectors'], place('host-table'),
            place('host-pba'), VERDICTS[report['verdict']],
            f"bar{report['bar']}" if report['relocated'] else '-',
            report['model'] or '-')


def print_table(reports):
    """A line each."""
    for row in [HEADS] + [_row(report) for report in reports]:
        print(COLUMNS.format(*row))
