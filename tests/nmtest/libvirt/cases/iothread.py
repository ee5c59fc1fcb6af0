# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""The guide's chapter on I/O threads."""

import json
import os
import re
import time

from nmtools import ToolError

from .. import host_cannot
from ..neighbour import Neighbour
from ..suite import case, check, expect, refused

SECTION = 'I/O Thread Configuration'
# How often, and how many in one virsh
LOOPS, BATCH, FREE_SECONDS = 200, 20, 30
CPUS = sorted(os.sched_getaffinity(0))
DISK = '''<disk type='file' device='disk'>
  <driver name='qemu' type='raw' cache='none' io='native' {driver}
  <source file='{path}'/>
  <target dev='{target}' bus='{bus}'/>
  {address}
</disk>'''


def disk(path, driver="/>", target='vdb', bus='virtio', address=''):
    return DISK.format(path=path, driver=driver, target=target, bus=bus,
                       address=address)


@case('iothreads', SECTION, '<iothreads>4</iothreads>')
def iothreads(env):
    guest = env.domain(parts='<iothreads>4</iothreads>').start()
    names = sorted(guest.iothreads())
    expect(names, [f'iothread{i}' for i in range(1, 5)], 'query-iothreads')
    threads = guest.threads()
    check(all(entry['thread-id'] in threads
              for entry in guest.iothreads().values()),
          'an IOThread is no thread of QEMU')
    return f'query-iothreads: {", ".join(names)}'


@case('iothread-set', SECTION,
      "<qemu:arg value='-set'/>"
      "<qemu:arg value='object.iothread1.poll-policy=classic'/>")
def iothread_set(env):
    """What libvirt has no words for is there again after a restart."""
    settings = {'poll-policy': 'classic', 'aio-max-batch': 8}
    guest = env.domain(
        parts='<iothreads>2</iothreads>',
        extra='<qemu:commandline>' + ''.join(
            f"<qemu:arg value='-set'/>"
            f"<qemu:arg value='object.iothread1.{name}={value}'/>"
            for name, value in settings.items()) + '</qemu:commandline>')
    for _ in range(2):
        guest.start()
        entries = guest.iothreads()
        for name, value in settings.items():
            expect(entries['iothread1'][name], value, name)
        expect(entries['iothread2']['aio-max-batch'], 0, 'of another IOThread')
        guest.end()
    return 'query-iothreads: poll-policy classic, aio-max-batch 8, twice'


@case('iothread-set-migration', SECTION,
      "virsh migrate with <qemu:arg value='-set'/> and '-global'")
def iothread_set_migration(env):
    """What the XML says goes along; what qom-set said does not."""
    guest = env.domain(
        parts='<iothreads>2</iothreads>',
        extra="""<qemu:commandline>
            <qemu:arg value='-set'/>
            <qemu:arg value='object.iothread1.poll-policy=classic'/>
            <qemu:arg value='-global'/>
            <qemu:arg value='iothread.aio-max-batch=8'/>
            </qemu:commandline>""").start()
    guest.qmp('qom-set', path='/objects/iothread2', property='poll-max-ns',
              value=1000)
    neighbour = Neighbour(env.libvirt)
    env.at_end(neighbour.stop)
    neighbour.start().take(guest)
    env.at_end(lambda: neighbour.end(guest))
    entries = {entry['id']: entry for entry in json.loads(neighbour.virsh(
        'qemu-monitor-command', guest.name,
        '{"execute": "query-iothreads"}')[1])['return']}
    expect(entries['iothread1']['poll-policy'], 'classic', 'poll-policy')
    expect(entries['iothread2']['poll-policy'], 'predictive', 'of the other')
    for name in ('iothread1', 'iothread2'):
        expect(entries[name]['aio-max-batch'], 8, f'aio-max-batch of {name}')
    expect(entries['iothread2']['poll-max-ns'], 32768, 'what was set by hand')
    return ('after the migration: poll-policy classic, aio-max-batch 8; '
            'poll-max-ns of qom-set is gone')


@case('disk-iothread', SECTION, "<driver ... io='native' iothread='2'/>")
def disk_iothread(env):
    guest = env.domain(
        parts='<iothreads>4</iothreads>',
        devices=disk(env.disk(), "iothread='2'/>")).start()
    alias = 'virtio-disk1'
    seen = guest.get(guest.device(alias), 'iothread')
    expect(seen, '/objects/iothread2', 'iothread of the disk')
    return f'qom-get {alias} iothread: {seen}'


@case('scsi-iothread', SECTION,
      "<controller type='scsi' model='virtio-scsi'><driver iothread='2'/>")
def scsi_iothread(env):
    guest = env.domain(
        parts='<iothreads>4</iothreads>',
        devices='''<controller type='scsi' index='0' model='virtio-scsi'>
            <driver iothread='2'/>
            <alias name='scsi0'/>
            </controller>'''
        + disk(env.disk(), target='sda', bus='scsi')).start()
    seen = guest.get(guest.device('scsi0'), 'iothread')
    expect(seen, '/objects/iothread2', 'iothread of the controller')
    return f'qom-get scsi0 iothread: {seen}'


@case('iothreadpin', SECTION, "<iothreadpin iothread='1' cpuset='1'/>")
def iothreadpin(env):
    first, last = CPUS[0], CPUS[-1]
    guest = env.domain(parts=f'''<iothreads>2</iothreads><cputune>
        <iothreadpin iothread='1' cpuset='{last}'/>
        <iothreadpin iothread='2' cpuset='{first}'/></cputune>''').start()
    threads, entries = guest.threads(), guest.iothreads()
    for name, cpu in (('iothread1', last), ('iothread2', first)):
        expect(threads[entries[name]['thread-id']], {cpu},
               f'affinity of {name}')
    return (f'sched_getaffinity: iothread1 on {last}, iothread2 on {first}; '
            "set from outside, so that QEMU's sandbox does not matter")


@case('iothreadpin-outside', SECTION,
      "<iothreadpin iothread='1' cpuset='1-3,5,7-12'/>")
def iothreadpin_outside(env):
    wanted = {1, 2, 3, 5, *range(7, 13)}
    guest = env.domain(parts='''<iothreads>1</iothreads><cputune>
        <iothreadpin iothread='1' cpuset='1-3,5,7-12'/></cputune>''')
    if wanted - set(CPUS):
        text = refused(guest.start, 'out of range')
        raise host_cannot(f'it has CPUs {CPUS[0]} to {CPUS[-1]} only; '
                          f'libvirt: {text}')
    guest.start()
    seen = guest.threads()[guest.iothreads()['iothread1']['thread-id']]
    expect(seen, wanted, 'affinity of iothread1')
    return f'sched_getaffinity: {sorted(seen)}'


@case('poll', SECTION, "<iothread id='1'><poll max='32768' grow='4' "
      "shrink='2'/></iothread>")
def poll(env):
    guest = env.domain(parts='''<iothreads>1</iothreads><iothreadids>
        <iothread id='1'><poll max='32768' grow='4' shrink='2'/></iothread>
        </iothreadids>''').start()
    entry = guest.iothreads()['iothread1']
    seen = [entry['poll-max-ns'], entry['poll-grow'], entry['poll-shrink']]
    expect(seen, [32768, 4, 2], 'poll-max-ns, poll-grow, poll-shrink')
    return 'query-iothreads: poll-max-ns 32768, poll-grow 4, poll-shrink 2'


@case('iothreadset', SECTION,
      'virsh iothreadset DOMAIN 1 --poll-max-ns 65536')
def iothreadset(env):
    guest = env.domain(parts='<iothreads>1</iothreads>').start()
    before = guest.iothreads()['iothread1']['poll-max-ns']
    guest.on('iothreadset', '1', '--poll-max-ns', '65536',
             '--poll-grow', '3', '--poll-shrink', '5', '--live')
    entry = guest.iothreads()['iothread1']
    seen = [entry['poll-max-ns'], entry['poll-grow'], entry['poll-shrink']]
    expect(seen, [65536, 3, 5], 'poll-max-ns, poll-grow, poll-shrink')
    guest.on('iothreadadd', '7')
    check('iothread7' in guest.iothreads(), 'iothreadadd added nothing')
    guest.on('iothreaddel', '7')
    check('iothread7' not in guest.iothreads(), 'iothreaddel removed nothing')
    return f'poll-max-ns {before} -> 65536 while running; 7 added and removed'


@case('iothread-bad-input', SECTION,
      'virsh iothreadset with a value that QEMU does not take')
def iothread_bad_input(env):
    guest = env.domain(parts='<iothreads>1</iothreads>').start()
    before = guest.iothreads()['iothread1']
    texts = [refused(lambda: guest.on('iothreadset', '1', '--live', *words),
                     words[0][2:])
             for words in (('--poll-max-ns', str(1 << 63)),
                           ('--poll-grow', str(1 << 63)))]
    texts.append(refused(lambda: guest.qmp(
        'qom-set', path='/objects/iothread1', property='cpu-affinity',
        value=[1 << 15]), 'cpu-affinity'))
    expect(guest.iothreads()['iothread1'], before, 'the IOThread afterwards')
    expect(guest.on('domstate'), 'running', 'the VM')
    return f'as before, and the VM runs: {"; ".join(texts)}'


@case('iothread-loops', SECTION, f'{LOOPS} times iothreadadd, iothreadpin, '
      'vcpupin, iothreaddel')
def iothread_loops(env):
    guest = env.domain(parts='<iothreads>1</iothreads>').start()
    name = guest.name

    def turn(count):
        cpus = [CPUS[i % len(CPUS)] for i in range(count)]
        told = guest.virsh('; '.join(
            f'iothreadadd {name} 7; iothreadpin {name} 7 {cpu}; '
            f'vcpupin {name} 0 {cpu}; iothreadinfo {name}; '
            f'iothreaddel {name} 7' for cpu in cpus))
        expect(re.findall(r'^ ?7 +(\d+)', told, re.M),
               [str(cpu) for cpu in cpus], 'the CPUs of IOThread 7')
        return len(guest.threads()), \
            len(os.listdir(f'/proc/{guest.pid()}/fd'))

    before = turn(1)
    for _ in range(LOOPS // BATCH):
        after = turn(BATCH)
    end = time.monotonic() + FREE_SECONDS
    while after != before and time.monotonic() < end:
        time.sleep(0.2)         # some are freed a little later
        after = turn(1)
    expect(after, before, '(threads, descriptors) of QEMU')
    return f'{after[0]} threads and {after[1]} descriptors before and after'


@case('vq-mapping', SECTION, "<driver queues='4'><iothreads><iothread id='1'>"
      "<queue id='0'/>...")
def vq_mapping(env):
    driver = '''queues='4'><iothreads>
        <iothread id='1'><queue id='0'/><queue id='2'/></iothread>
        <iothread id='2'><queue id='1'/><queue id='3'/></iothread>
        </iothreads></driver>'''
    guest = env.domain(parts='<iothreads>2</iothreads>',
                       devices=disk(env.disk(), driver)).start()
    words = json.loads(guest.option('-device', 'iothread-vq-mapping'))
    seen = {entry['iothread']: entry['vqs']
            for entry in words['iothread-vq-mapping']}
    expect(seen, {'iothread1': [0, 2], 'iothread2': [1, 3]}, 'the mapping')
    shown = guest.get(guest.device(words['id']), 'iothread-vq-mapping')
    if {entry['iothread']: entry['vqs'] for entry in shown} != seen:
        raise ToolError(f'QEMU shows another mapping: {shown}')
    return f'qom-get: {seen}'
